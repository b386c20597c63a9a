"""``fastpyr deliver``: a delivery put into a platform without HTTP."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from ..check.md5 import read_md5_list
from ..errors import ConfigError
from .common import print_json
from .platform_root import database_option, open_platform, root_option

__all__ = ["deliver"]

_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One delivery to make: files by their names in it."""

    name: str
    srs: str
    description: str
    files: dict[str, Path]
    md5: list[Path]
    tags: dict[str, str] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)


@click.command()
@click.argument("source", metavar="FOLDER|DESCRIPTOR.jsonc")
@root_option
@click.option("--name", metavar="TEXT", help="Name of the delivery. [default: the folder's]")
@click.option("--srs", metavar="CRS", help="Reference system of the rasters, e.g. EPSG:2154.")
@click.option("--description", default="", metavar="TEXT", help="What it is.")
@click.option("--md5", multiple=True, metavar="LIST", help="List of MD5 signatures beside the folder.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag.")
@click.option("--json", "as_json", is_flag=True, help="The uploads as JSON on stdout.")
@database_option
def deliver(
    source: str,
    root: str,
    name: str | None,
    srs: str | None,
    description: str,
    md5: tuple[str, ...],
    tags: tuple[str, ...],
    as_json: bool,
    database: str | None,
) -> int:
    """Copy a folder of rasters into a platform, close the delivery and await its checks.

    A DESCRIPTOR is that of sdk-entrepot-gpf: one or more data sets with their folders, infos, tags and comments.

    Exit codes: 0 all checks passed, 1 a check failed, 2 the delivery cannot be made.

    \b
    Examples:
      fastpyr deliver delivery/ --root platform --srs EPSG:2154 --name ORTHO
      fastpyr deliver upload_descriptor.jsonc --root platform
    """
    path = Path(source)
    if path.is_dir():
        if srs is None:
            raise ConfigError(f"{path}: say which reference system the rasters are in, e.g. --srs EPSG:2154")
        labels = dict(_tag(text) for text in tags)
        inside = _files(path)
        lists = [Path(one) for one in md5]
        prefix = _prefix(path, lists)
        files = {f"{prefix}{file.relative_to(path).as_posix()}": file for file in inside}
        lists = [one for one in lists if one.resolve() not in {file.resolve() for file in inside}]
        made = [_Delivery(name or path.resolve().name, srs, description, files, lists, labels)]
    elif name or srs or description or md5 or tags:
        raise ConfigError(f"{path}: a descriptor says it all: leave out the options that describe a folder")
    else:
        made = _read_descriptor(path)
    with open_platform(root, database, own_jobs_only=True) as platform:
        uploads = []
        for one in made:
            upload = platform.deliver(
                one.files, name=one.name, srs=one.srs, description=one.description, tags=one.tags, md5=one.md5
            )
            for text in one.comments:
                platform.uploads.add_comment(upload["_id"], {"text": text})
            uploads.append(upload)
            if not as_json:
                _tell(platform, upload)
    if as_json:
        print_json(uploads)
    return 0 if all(upload["status"] == "CLOSED" for upload in uploads) else 1


def _tell(platform: Any, upload: dict[str, Any]) -> None:
    checks = platform.uploads.checks(upload["_id"])
    for group, verdict in (("passed", "ok"), ("failed", "failed")):
        for check in checks[group]:
            click.echo(f"{verdict:<7}  {check['check']['name']}")
            if group == "failed":
                for line in platform.uploads.check_log(check["_id"]):
                    if "ERROR||" in line:
                        click.echo(f"         {line.rsplit('||', 1)[-1]}")
    click.echo(f"{upload['_id']}  {upload['status']}  {upload['name']}")


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ConfigError(f"--tag {text!r}: expected KEY=VALUE")
    return key, value


def _files(folder: Path) -> list[Path]:
    """All files below a folder but hidden ones."""
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return [file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts)]


def _prefix(folder: Path, lists: list[Path]) -> str:
    """``<folder>/`` when a list beside the folder writes its files so, else nothing."""
    name = f"{folder.resolve().name}/"
    paths = [signature.path for one in lists for signature in read_md5_list(one).signatures]
    return name if any(path.startswith(name) and not (folder / path).exists() for path in paths) else ""


def _read_descriptor(path: Path) -> list[_Delivery]:
    """The data sets of a descriptor: JSON that may hold comments. Raises ConfigError naming what is wrong."""
    try:
        text = path.read_text("utf-8")
        value = json.loads(_COMMENT.sub(lambda match: match[0] if match[0].startswith('"') else " ", text))
        datasets = [_data_set(path.parent, one) for one in value["datasets"]]
    except OSError as error:
        raise ConfigError(f"{path}: no such folder or descriptor ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not a descriptor of deliveries: {error} is missing or of the wrong kind") from error
    return datasets


def _data_set(folder: Path, value: dict[str, Any]) -> _Delivery:
    infos = value["upload_infos"]
    if infos["type"] != "RASTER":
        raise ConfigError(f"delivery {infos['name']}: type {infos['type']}, expected RASTER")
    files: dict[str, Path] = {}
    lists = []
    for name in value["data_dirs"]:
        if not (folder / name).is_dir():
            raise ConfigError(f"{folder / name}: no such folder")
        files |= {f"{name}/{file.relative_to(folder / name).as_posix()}": file for file in _files(folder / name)}
        if (signatures := folder / f"{name}.md5").is_file():
            lists.append(signatures)
    tags = {str(key): str(text) for key, text in value.get("tags", {}).items()}
    comments = [str(text) for text in value.get("comments", [])]
    return _Delivery(infos["name"], infos["srs"], infos.get("description", ""), files, lists, tags, comments)
