"""The engine: blocks of pixels in, slabs out."""

from .builder import Builder, BuildResult, Worker, WrittenSlab
from .progress import Progress, ProgressCallback

__all__ = ["BuildResult", "Builder", "Progress", "ProgressCallback", "Worker", "WrittenSlab"]
