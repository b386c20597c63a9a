"""The engine: blocks of pixels in, slabs out."""

from .builder import Builder, BuildResult, Worker
from .facts import JournalState
from .folder_notes import FolderNotes, files_are_whole, read_journal
from .journal import Journal
from .object_notes import ObjectNotes, read_object_journal
from .progress import Progress, ProgressCallback
from .written import SealedSlab, WrittenSlab

__all__ = [
    "BuildResult",
    "Builder",
    "FolderNotes",
    "Journal",
    "JournalState",
    "ObjectNotes",
    "Progress",
    "ProgressCallback",
    "SealedSlab",
    "Worker",
    "WrittenSlab",
    "files_are_whole",
    "read_journal",
    "read_object_journal",
]
