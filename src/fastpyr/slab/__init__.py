"""Slab files: header, writer, reader."""

from .header import HEADER_SIZE, MAX_SLAB_SIZE, SlabHeader, parse_header, slab_header
from .reader import SlabIndex, index_problems, parse_index, read_index, read_slab, tile_bytes
from .writer import slab_bytes, slab_chunks, slab_size, vector_slab_chunks

__all__ = [
    "HEADER_SIZE",
    "MAX_SLAB_SIZE",
    "SlabHeader",
    "SlabIndex",
    "index_problems",
    "parse_header",
    "parse_index",
    "read_index",
    "read_slab",
    "slab_bytes",
    "slab_chunks",
    "slab_header",
    "slab_size",
    "tile_bytes",
    "vector_slab_chunks",
]
