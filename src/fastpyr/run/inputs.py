"""What callers hand over, made ready: opened sources, options, and where the descriptor goes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from ..errors import ConfigError
from ..frozen import frozen
from ..planning import BuildOptions, SourceGroup
from ..source import Source, find_sources, open_source

if TYPE_CHECKING:
    from ..planning import Be4Config

__all__ = ["Inputs", "SourceLike", "as_list", "configured_groups", "descriptor_path", "prepare", "source_groups"]

SourceLike = str | os.PathLike[str] | Source
"""A file, a folder, a glob, a stored raster (``URL#NAME``) or an opened source (for instance an ArraySource)."""


@frozen
class Inputs:
    """A build's inputs. ``descriptor`` ends with ``.json``; ``warnings`` are one line each."""

    groups: tuple[SourceGroup, ...]
    options: BuildOptions
    descriptor: str | None
    warnings: tuple[str, ...]


def prepare(
    sources: SourceLike | Iterable[SourceLike] | None,
    descriptor: str | os.PathLike[str] | None,
    config: str | os.PathLike[str] | None = None,
    name: str | None = None,
    **given: Any,
) -> Inputs:
    """Open sources and settle options.

    With ``config`` (a BE4 configuration) the sources, descriptor and options given here replace its own. Raises
    FastpyrError naming the file or the option.
    """
    asked = as_list(sources)
    if config is None:
        options = BuildOptions.parse(**given)
        groups = source_groups(asked, options.srs)
        warnings: tuple[str, ...] = ()
    else:
        from ..planning import read_be4

        conf = read_be4(config)
        if conf.kind != "GENERATION":
            raise ConfigError(f"{config}: pyramid.type is {conf.kind}: run it with fastpyr update --config {config}")
        options, warnings = conf.options.merged(**given), conf.warnings
        descriptor = conf.descriptor if descriptor is None else descriptor
        groups = configured_groups(conf, config, asked, options.srs)
    return Inputs(groups, options, descriptor_path(descriptor, name), warnings)


def configured_groups(
    conf: Be4Config, config: str | os.PathLike[str], asked: Sequence[SourceLike], srs: str | None
) -> tuple[SourceGroup, ...]:
    """Opened sources of a configuration, or in the place of its only ones those that are ``asked`` for."""
    if not asked:
        return tuple(
            SourceGroup(_open([group.directory], srs or group.srs), group.bottom, group.top) for group in conf.groups
        )
    if len(conf.groups) != 1:
        raise ConfigError(f"{config}: has {len(conf.groups)} data sources, SOURCE can only replace a single one")
    group = conf.groups[0]
    return (SourceGroup(_open(asked, srs or group.srs), group.bottom, group.top),)


def source_groups(asked: Sequence[SourceLike], srs: str | None) -> tuple[SourceGroup, ...]:
    """Opened sources as one group. Raises FastpyrError naming the file."""
    return (SourceGroup(_open(asked, srs)),)


def as_list(sources: SourceLike | Iterable[SourceLike] | None) -> list[SourceLike]:
    """One source or many as a list."""
    if sources is None:
        return []
    if isinstance(sources, (str, os.PathLike)) or hasattr(sources, "info"):
        return [cast("SourceLike", sources)]
    return list(sources)


def _open(asked: Sequence[SourceLike], srs: str | None) -> list[Source]:
    """Opened sources in the order of painting: files by name, stored rasters, then what the caller opened."""
    if not asked:
        raise ConfigError("no sources: give raster files, folders or globs")
    paths = [item for item in asked if isinstance(item, (str, os.PathLike))]
    opened = [item for item in asked if not isinstance(item, (str, os.PathLike))]
    stored = [path for path in paths if isinstance(path, str) and _is_stored(path)]
    paths = [path for path in paths if path not in stored]
    found: list[Source] = [open_source(path, srs) for path in find_sources(paths)] if paths else []
    return found + [_open_stored(url) for url in stored] + opened


def _is_stored(text: str) -> bool:
    """Whether a source names a raster of a database: ``URL#NAME``, for instance ``sqlite:///file#ORTHO``."""
    return "://" in text and "#" in text


def _open_stored(url: str) -> Source:
    from ..db.bridge import open_dataset_source

    return open_dataset_source(url)


def descriptor_path(descriptor: str | os.PathLike[str] | None, name: str | None) -> str | None:
    """``<folder>/<name>.json`` from a descriptor path, or from a folder and a name."""
    if descriptor is None:
        return None
    path = os.fspath(descriptor)
    if path.endswith(".json"):
        stem = path.rsplit("/", 1)[-1].removesuffix(".json")
        if name is not None and name != stem:
            raise ConfigError(f"{path}: the descriptor's name and --name {name} differ: give one of them")
        return path
    if name is None:
        raise ConfigError(f"{path}: expected a path ending in .json, or a folder together with --name")
    return f"{path.rstrip('/')}/{name}.json"
