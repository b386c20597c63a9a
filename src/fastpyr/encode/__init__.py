"""Tile encoders and decoders."""

from .base import Pixels, TileEncoder
from .decode import decode_tile
from .registry import MASK_PIXELS, encoder, mask_encoder

__all__ = ["MASK_PIXELS", "Pixels", "TileEncoder", "decode_tile", "encoder", "mask_encoder"]
