"""The engine: blocks of pixels in, slabs out."""

from .builder import Builder, BuildResult, Worker
from .journal import LOG_NAME, Journal, JournalState, read_journal
from .progress import Progress, ProgressCallback
from .written import SealedSlab, WrittenSlab

__all__ = [
    "LOG_NAME",
    "BuildResult",
    "Builder",
    "Journal",
    "JournalState",
    "Progress",
    "ProgressCallback",
    "SealedSlab",
    "Worker",
    "WrittenSlab",
    "read_journal",
]
