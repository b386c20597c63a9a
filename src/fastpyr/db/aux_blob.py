"""The frame around every object of an auxiliary table: ``FPX``, version, type, length, CRC-32, payload; big-endian."""

from __future__ import annotations

import struct
import zlib

from ..errors import DatabaseError

__all__ = ["COLORMAP", "MASK", "MISC", "STATISTICS", "TRANSFORM", "pack", "unpack"]

MASK, STATISTICS, COLORMAP, TRANSFORM, MISC = 1, 2, 3, 4, 6
"""Values of ``aux.type``; 5 is reserved, 9 exists in file geodatabases only."""

_FRAME = struct.Struct(">3sBHII")
_VERSION = 1
_MAX_PAYLOAD = 1 << 30


def pack(type: int, payload: bytes) -> bytes:
    """The payload in its frame. DatabaseError over 1 GiB."""
    if len(payload) > _MAX_PAYLOAD:
        raise DatabaseError(f"an auxiliary object of type {type} would have {len(payload)} bytes, over {_MAX_PAYLOAD}")
    return _FRAME.pack(b"FPX", _VERSION, type, len(payload), zlib.crc32(payload)) + payload


def unpack(type: int, blob: bytes) -> bytes:
    """The payload of a framed object. DatabaseError for another type, a cut or a damaged one."""
    if len(blob) < _FRAME.size:
        raise DatabaseError(f"auxiliary object of type {type}: {len(blob)} bytes, shorter than its header")
    magic, version, stored, size, crc = _FRAME.unpack_from(blob)
    if magic != b"FPX" or version != _VERSION:
        raise DatabaseError(f"auxiliary object of type {type}: unknown header {bytes(blob[:4])!r}, not written by fastpyr")
    payload = bytes(blob[_FRAME.size :])
    if stored != type or size != len(payload) or crc != zlib.crc32(payload):
        raise DatabaseError(f"auxiliary object of type {type}: damaged (type {stored}, {len(payload)} of {size} bytes)")
    return payload
