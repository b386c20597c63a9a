"""Plain GeoTIFF files described without GDAL, whose loading takes longer than a small build.

Only what leaves no doubt is taken here, and taken as GDAL takes it: every field must be a known one, the CRS a plain
EPSG code, nothing beside the file that adds to it. Anything else, errors included, is left to GDAL.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import IO, NamedTuple

from fastpyr.errors import FastpyrError
from fastpyr.formats import SampleType

from .base import Affine, BlockLayout, RasterInfo, nodata_values
from .describe import Bands
from .tags import Directory, read_directory
from .tiff import UNUSUAL, TiffBlocks, described_blocks, direct_reading

__all__ = ["PlainTiff", "describe_plain"]

_SUBFILE, _PHOTOMETRIC, _NEXT_PAGES, _EXTRA = 254, 262, 330, 338
_SCALE, _TIEPOINTS, _MATRIX, _KEYS, _KEY_DOUBLES, _KEY_TEXTS = 33550, 33922, 34264, 34735, 34736, 34737
_METADATA, _NODATA = 42112, 42113
_KINDS: dict[int, tuple[int, ...]] = {
    _SUBFILE: (4,),
    **dict.fromkeys((256, 257, 278, 322, 323), (3, 4)),  # sizes of the image and its blocks
    **dict.fromkeys((258, 259, 262, 274, 277, 284, 317, 339, _EXTRA), (3,)),  # samples and how they are packed
    **dict.fromkeys((273, 279, 324, 325), (3, 4, 16)),  # places of the blocks
    **dict.fromkeys((269, 270, 271, 272, 305, 306, 315, 33432), (2,)),  # name, description, makers, date, copyright
    **dict.fromkeys((282, 283), (5,)),  # dots per inch ...
    296: (3,),  # ... or centimetre
    **dict.fromkeys((_SCALE, _TIEPOINTS, _MATRIX, _KEY_DOUBLES), (12,)),
    _KEYS: (3,),
    **dict.fromkeys((_KEY_TEXTS, _METADATA, _NODATA), (2,)),
}
"""Field types of the fields that a plain file may have."""
_MOST_PIXELS = 2**31 - 1
_MOST_NUMBERS = 1 << 12
_MOST_TEXT = 1 << 16
_MOST_PAGES = 64
_OVERVIEW = 1
_MIN_IS_BLACK, _RGB = 1, 2
_ALPHAS = (1, 2)
_TAIL_BLOCKS = 64
"""Blocks at the end of the file that are looked up: a cut file lacks those."""

_MODEL, _RASTER, _CITATIONS, _GEOGRAPHIC, _ANGLE = 1024, 1025, (1026, 2049, 3073), 2048, 2054
_AXIS, _FLATTENING, _PROJECTED, _LENGTH = 2057, 2059, 3072, 3076
_PROJECTED_MODEL, _GEOGRAPHIC_MODEL = 1, 2
_IS_AREA, _IS_POINT = 1, 2
_METRE, _DEGREE = 9001, 9102
_METRES, _DEGREES = ("9001",), ("9102", "9122")
_READ_OTHERWISE = frozenset((2163, 3295, 9311, 26632, 26692, 32600, 32700))
"""Codes whose definition GDAL does not know again when it reads it from GeoTIFF keys."""
_CODES = range(1024, 32767)
"""Codes that may be EPSG's."""
_DIGITS = frozenset(b"0123456789")
_MOST_DIGITS = 7
_NAME_LENGTH = 200
_NAME_BYTES = frozenset(range(32, 127)) - frozenset(b"=|")
"""Bytes of a name of a CRS; texts with others may hold a description of it, as some writers store them."""
_TELLING_METADATA = (b"role=", b"domain=", b"AREA_OR_POINT", b"NBITS", b"MINISWHITE")
_BESIDE = (".aux.xml", ".msk", ".MSK", ".aux", ".AUX", ".ovr", ".OVR")
_BESIDE_STEM = (".msk", ".MSK", ".aux", ".AUX")
_CRS_BESIDE_STEM = (".tab", ".TAB", ".xml", ".XML")
_GDAL_SETTINGS = (
    "GTIFF_",
    "GDAL_GEOREF",
    "GDAL_PAM",
    "GDAL_SKIP",
    "GDAL_TIFF",
    "GDAL_IGNORE",
    "OSR_",
    "TIFF_",
    "ESRI_",
)
"""Beginnings of environment variables by which GDAL may be told to see a file with other eyes."""


class PlainTiff(NamedTuple):
    """All that a source needs to know of a file."""

    info: RasterInfo
    bands: Bands
    layout: BlockLayout
    blocks: TiffBlocks


class _Place(NamedTuple):
    """``code``: EPSG code of the CRS, 0 when the file has none."""

    transform: Affine
    code: int


class _NotPlainError(Exception):
    """GDAL has to look at the file."""


def describe_plain(path: Path, srs: str | None) -> PlainTiff | None:
    """A plain GeoTIFF as ``open_source`` describes it, None for every file that is not."""
    if not direct_reading() or _is_gdal_told() or any(map(os.path.lexists, _beside(path))):
        return None
    try:
        with open(path, "rb") as file:
            return _described(path, file, srs)
    except (*UNUSUAL, _NotPlainError, FastpyrError):
        return None


def _is_gdal_told() -> bool:
    """Whether GDAL has been given options that might matter: by the environment, or by a caller's rasterio.Env."""
    if any(name.startswith(_GDAL_SETTINGS) for name in os.environ):
        return True
    environment = sys.modules.get("rasterio.env")
    return environment is not None and bool(environment.hasenv())


def _beside(path: Path) -> list[str]:
    """Files that would add to what the file says."""
    name, (stem, _) = os.fspath(path), os.path.splitext(path)
    return [name + end for end in _BESIDE] + [stem + end for end in _BESIDE_STEM]


def _described(path: Path, file: IO[bytes], srs: str | None) -> PlainTiff:
    size = os.fstat(file.fileno()).st_size
    directory = read_directory(file)
    _check_fields(directory)
    _check_pages(file, directory.following)
    blocks = described_blocks(path, size, directory)
    if blocks is None or max(blocks.width, blocks.height) > _MOST_PIXELS:
        raise _NotPlainError
    # a single raw strip is served by GDAL in blocks of its own choice
    if not (blocks.codec or blocks.tiled) and blocks.rows >= blocks.height > 1:
        raise _NotPlainError
    if not blocks.lie_inside(file.fileno(), _TAIL_BLOCKS):
        raise _NotPlainError
    place = _place(file, directory)
    bands = _bands(file, directory, blocks, path)
    info = RasterInfo(
        name=str(path),
        crs=_crs(path, place.code, srs),
        transform=place.transform,
        width=blocks.width,
        height=blocks.height,
        channels=bands.channels,
        sample=bands.sample,
        has_mask=bands.nodata is not None or bands.has_alpha,
    )
    layout = BlockLayout(min(blocks.rows, blocks.height), min(blocks.cols, blocks.width), in_pairs=blocks.is_dense)
    if layout.rows * layout.cols * blocks.channels * blocks.dtype.itemsize > 1 << 30:
        raise _NotPlainError
    return PlainTiff(info, bands, layout, blocks)


def _check_fields(directory: Directory) -> None:
    tags = list(directory.fields)
    known = all(field.kind in _KINDS.get(tag, ()) and field.length for tag, field in directory.fields.items())
    if not known or tags != sorted(tags) or directory.values.get(_SUBFILE, (0,)) != (0,):
        raise _NotPlainError
    channels = directory.values.get(277, (1,))[0]
    # one value a sample, or one value
    for tag in (258, 339):
        if tag in directory.fields and directory.fields[tag].length != channels:
            raise _NotPlainError
    for tag in (256, 257, 259, 262, 274, 277, 278, 284, 317, 322, 323):
        if tag in directory.fields and directory.fields[tag].length != 1:
            raise _NotPlainError


def _check_pages(file: IO[bytes], position: int) -> None:
    """Overviews may follow, and nothing else: a mask or another image would be told of by GDAL."""
    for _ in range(_MOST_PAGES):
        if not position:
            return
        page = read_directory(file, position)
        if page.values.get(_SUBFILE) != (_OVERVIEW,) or _NEXT_PAGES in page.fields:
            break
        position = page.following
    raise _NotPlainError


def _bands(file: IO[bytes], directory: Directory, blocks: TiffBlocks, path: Path) -> Bands:
    channels = blocks.channels
    sample = SampleType.UINT8 if blocks.dtype.itemsize == 1 else SampleType.FLOAT32
    colours = {_MIN_IS_BLACK: 1, _RGB: 3}.get(directory.values[_PHOTOMETRIC][0], 0)
    extra = directory.values[_EXTRA] if _EXTRA in directory.fields else ()
    if not colours or len(extra) != channels - colours or len(extra) > 1 or not set(extra) <= {0, *_ALPHAS}:
        raise _NotPlainError
    if _METADATA in directory.fields:
        metadata = directory.text(file, _METADATA, _MOST_TEXT)
        if any(word in metadata for word in _TELLING_METADATA):
            raise _NotPlainError
    nodata = None
    if _NODATA in directory.fields:
        text = directory.text(file, _NODATA, _MOST_NUMBERS).rstrip(b"\0 ")
        digits = text.removeprefix(b"-")
        if text != b"nan" and not (0 < len(digits) <= _MOST_DIGITS and _DIGITS.issuperset(digits)):
            raise _NotPlainError
        nodata = nodata_values([float(text)] * channels, sample, str(path))
    return Bands(
        order=tuple(range(1, channels + 1)),
        sample=sample,
        channels=channels,
        table=None,
        nodata=nodata,
        has_alpha=bool(set(extra) & set(_ALPHAS)),
        mask_band=False,
    )


def _place(file: IO[bytes], directory: Directory) -> _Place:
    """Where the pixels lie: position of the corner of the first one, and the CRS."""
    matrix = _matrix(file, directory)
    if _KEYS in directory.fields:
        point, code = _read_keys(file, directory)
    elif {_KEY_DOUBLES, _KEY_TEXTS} & directory.fields.keys():
        raise _NotPlainError
    else:
        point, code = False, 0
    a, b, c, d, e, f = matrix
    if point:
        c, f = c - (a * 0.5 + b * 0.5), f - (d * 0.5 + e * 0.5)
    transform = Affine(a, b, c, d, e, f)
    if not transform.is_usable or transform == (1, 0, 0, 0, 1, 0):
        raise _NotPlainError
    return _Place(transform, code)


def _matrix(file: IO[bytes], directory: Directory) -> tuple[float, float, float, float, float, float]:
    if _MATRIX in directory.fields:
        if {_SCALE, _TIEPOINTS} & directory.fields.keys():
            raise _NotPlainError
        m = directory.doubles(file, _MATRIX, 16)
        if len(m) != 16:
            raise _NotPlainError
        return m[0], m[1], m[3], m[4], m[5], m[7]
    scale, tie = directory.doubles(file, _SCALE, 3), directory.doubles(file, _TIEPOINTS, 6)
    if len(scale) != 3 or len(tie) != 6 or not (scale[0] > 0 and scale[1] > 0):
        raise _NotPlainError
    a, e = scale[0], -scale[1]
    return a, 0.0, tie[3] - tie[0] * a, 0.0, e, tie[4] - tie[1] * e


def _read_keys(file: IO[bytes], directory: Directory) -> tuple[bool, int]:
    """Whether coordinates are those of pixel centres, and the EPSG code of the CRS, from GeoTIFF keys."""
    numbers = directory.shorts(file, _KEYS, _MOST_NUMBERS)
    keys = [numbers[n : n + 4] for n in range(4, len(numbers), 4)]
    ids = [key[0] for key in keys]
    if numbers[:2] != (1, 1) or numbers[2] > 1 or numbers[3:4] != (len(keys),) or len(numbers) % 4:
        raise _NotPlainError
    if len(set(ids)) != len(ids) or ids != sorted(ids):
        raise _NotPlainError
    here = {key: value for key, place, count, value in keys if place == 0 and count == 1}
    away = {key: (place, count, first) for key, place, count, first in keys if place}
    if len(here) + len(away) != len(keys) or not away.keys() <= {*_CITATIONS, _AXIS, _FLATTENING}:
        raise _NotPlainError
    model = here.pop(_MODEL, 0)
    is_projected = model == _PROJECTED_MODEL
    code, raster = here.pop(_PROJECTED if is_projected else _GEOGRAPHIC, 0), here.pop(_RASTER, _IS_AREA)
    angle, length = here.pop(_ANGLE, _DEGREE), here.pop(_LENGTH, _METRE) if is_projected else _METRE
    if (
        model not in (_PROJECTED_MODEL, _GEOGRAPHIC_MODEL)
        or code not in _CODES
        or code in _READ_OTHERWISE
        or raster not in (_IS_AREA, _IS_POINT)
    ):
        raise _NotPlainError
    if here or (angle, length) != (_DEGREE, _METRE):
        raise _NotPlainError
    shape = _check_away(file, directory, away)
    _check_crs(code, is_projected, shape)
    return raster == _IS_POINT, code


def _check_away(file: IO[bytes], directory: Directory, away: dict[int, tuple[int, int, int]]) -> dict[int, float]:
    """The numbers among the keys whose values lie in other fields; texts must be names and nothing else."""
    found = {}
    for key, (place, count, first) in away.items():
        if key in _CITATIONS:
            texts = directory.text(file, _KEY_TEXTS, _MOST_NUMBERS)
            text = texts[first : first + count]
            name = text.removesuffix(b"|")
            if place != _KEY_TEXTS or len(text) != count:
                raise _NotPlainError
            if len(name) > _NAME_LENGTH or not _NAME_BYTES.issuperset(name):
                raise _NotPlainError
        else:
            doubles = directory.doubles(file, _KEY_DOUBLES, _MOST_NUMBERS)
            if place != _KEY_DOUBLES or count != 1 or first >= len(doubles):
                raise _NotPlainError
            found[key] = doubles[first]
    return found


def _check_crs(code: int, is_projected: bool, shape: dict[int, float]) -> None:
    """The code must mean what the other keys say: a flat CRS of that kind, in metres or degrees."""
    from fastpyr.grid.crs import parse_crs

    text = f"EPSG:{code}"
    crs = parse_crs(text)
    # the height of a 3D system is dropped, and its name with it
    if crs.srs != text or crs.is_deprecated or crs.is_projected != is_projected:
        raise _NotPlainError
    axis = crs.axis_info[0]
    if axis.unit_auth_code != "EPSG" or axis.unit_code not in (_METRES if is_projected else _DEGREES):
        raise _NotPlainError
    ellipsoid = crs.ellipsoid
    wanted = {_AXIS: ellipsoid.semi_major_metre, _FLATTENING: ellipsoid.inverse_flattening} if ellipsoid else {}
    # computed by the writer, from the other axis perhaps
    if not all(math.isclose(wanted.get(key, 0.0), value, rel_tol=1e-12) for key, value in shape.items()):
        raise _NotPlainError


def _crs(path: Path, code: int, srs: str | None) -> str:
    from fastpyr.grid.crs import parse_crs

    if code:
        return f"EPSG:{code}"
    stem = os.path.splitext(path)[0]
    beside = [f"{path}.xml", *(stem + end for end in _CRS_BESIDE_STEM)]
    if srs is None or any(map(os.path.lexists, beside)):
        raise _NotPlainError
    parse_crs(srs)
    return srs
