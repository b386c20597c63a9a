"""The tables. Dates are ISO 8601 texts in UTC, which sort as they are; ids are UUIDs as texts."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

__all__ = [
    "Base",
    "CheckExecution",
    "Comment",
    "Configuration",
    "Dependency",
    "Event",
    "Execution",
    "ExecutionInput",
    "Offering",
    "StoredData",
    "Upload",
    "new_id",
    "now",
]

Json = dict[str, Any]


def now() -> str:
    """This moment, as ``2023-05-22T09:15:50.353341Z``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id() -> str:
    return str(uuid.uuid4())


class Base(DeclarativeBase):
    """What all tables share."""

    type_annotation_map = {Json: JSON, list[Any]: JSON, str: String(255)}  # noqa: RUF012 (SQLAlchemy reads it)


class Entity:
    """A thing with an identity of its own."""

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    creation: Mapped[str] = mapped_column(String(32), default=now, index=True)
    update: Mapped[str] = mapped_column(String(32), default=now, onupdate=now)


class Upload(Entity, Base):
    """A delivery: files waiting for a processing."""

    __tablename__ = "uploads"

    name: Mapped[str] = mapped_column(index=True)
    description: Mapped[str] = mapped_column(Text, default="")
    type: Mapped[str] = mapped_column(String(32))
    srs: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16), default="OPEN")
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    extent: Mapped[Json | None]
    type_infos: Mapped[Json] = mapped_column(default=dict)
    extra: Mapped[Json] = mapped_column(default=dict)
    tags: Mapped[Json] = mapped_column(default=dict)


class CheckExecution(Entity, Base):
    """One check of one delivery, asked for once."""

    __tablename__ = "check_executions"

    upload_id: Mapped[str] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"), index=True)
    check_id: Mapped[str] = mapped_column(String(36))
    status: Mapped[str] = mapped_column(String(16), default="WAITING", index=True)
    start: Mapped[str | None] = mapped_column(String(32))
    finish: Mapped[str | None] = mapped_column(String(32))
    owner: Mapped[str | None] = mapped_column(String(36))
    upload: Mapped[Upload] = relationship()


class Execution(Entity, Base):
    """One use of a processing."""

    __tablename__ = "executions"

    processing_id: Mapped[str] = mapped_column(String(36), index=True)
    status: Mapped[str] = mapped_column(String(16), default="CREATED", index=True)
    parameters: Mapped[Json]
    launch: Mapped[str | None] = mapped_column(String(32))
    start: Mapped[str | None] = mapped_column(String(32))
    finish: Mapped[str | None] = mapped_column(String(32))
    callback: Mapped[Json | None]
    progress: Mapped[float] = mapped_column(Float, default=0.0)
    owner: Mapped[str | None] = mapped_column(String(36))
    fingerprint: Mapped[str | None] = mapped_column(String(64), index=True)
    output_id: Mapped[str] = mapped_column(String(36), index=True)
    output_name: Mapped[str]
    inputs: Mapped[list[ExecutionInput]] = relationship(cascade="all, delete-orphan", order_by="ExecutionInput.number")


class ExecutionInput(Base):
    """What an execution reads. Its facts are kept: the entity itself may be deleted afterwards."""

    __tablename__ = "execution_inputs"

    execution_id: Mapped[str] = mapped_column(ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    entity_id: Mapped[str] = mapped_column(String(36), index=True)
    facts: Mapped[Json]


class StoredData(Entity, Base):
    """What a processing made: a pyramid."""

    __tablename__ = "stored_data"

    name: Mapped[str] = mapped_column(index=True)
    type: Mapped[str] = mapped_column(String(32))
    srs: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    edition: Mapped[Json | None]
    status: Mapped[str] = mapped_column(String(16), default="CREATED")
    size: Mapped[int | None] = mapped_column(BigInteger)
    extent: Mapped[Json | None]
    labels: Mapped[list[Any]] = mapped_column(default=list)
    type_infos: Mapped[Json | None]
    extra: Mapped[Json] = mapped_column(default=dict)
    tags: Mapped[Json] = mapped_column(default=dict)
    pyramid: Mapped[str] = mapped_column(doc="name of the pyramid's files")


class Dependency(Base):
    """A stored data whose slabs another one refers to."""

    __tablename__ = "dependencies"

    user_id: Mapped[str] = mapped_column(ForeignKey("stored_data.id", ondelete="CASCADE"), primary_key=True)
    used_id: Mapped[str] = mapped_column(ForeignKey("stored_data.id"), primary_key=True, index=True)


class Configuration(Entity, Base):
    """How stored data is to be published."""

    __tablename__ = "configurations"

    type: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(index=True)
    layer_name: Mapped[str] = mapped_column(unique=True)
    metadata_: Mapped[list[Any]] = mapped_column("metadata", default=list)
    type_infos: Mapped[Json] = mapped_column(default=dict)
    attribution: Mapped[Json | None]
    getfeatureinfo: Mapped[Json | None]
    extra: Mapped[Json] = mapped_column(default=dict)
    tags: Mapped[Json] = mapped_column(default=dict)


class Offering(Entity, Base):
    """A configuration on an endpoint."""

    __tablename__ = "offerings"

    configuration_id: Mapped[str] = mapped_column(ForeignKey("configurations.id"), index=True)
    endpoint_id: Mapped[str] = mapped_column(String(36))
    open: Mapped[bool] = mapped_column(default=True)
    status: Mapped[str] = mapped_column(String(16), default="PUBLISHED")
    configuration: Mapped[Configuration] = relationship()


class Comment(Entity, Base):
    """What somebody wrote about an entity."""

    __tablename__ = "comments"

    owner_id: Mapped[str] = mapped_column(String(36), index=True)
    text: Mapped[str] = mapped_column(Text)


class Event(Base):
    """What happened to an entity, in the order of ``number``."""

    __tablename__ = "events"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    owner_id: Mapped[str] = mapped_column(String(36))
    title: Mapped[str]
    text: Mapped[str | None] = mapped_column(Text)
    date: Mapped[str] = mapped_column(String(32), default=now)


Index("events_of_an_owner", Event.owner_id, Event.number)
