"""Every error a caller may want to catch, in one place.

A message names the object (file, level, tile, slab), what was expected and what to do about it. The command line
prints it as one line and exits with code 2.
"""

__all__ = [
    "ConfigError",
    "ConflictError",
    "DatabaseError",
    "DecodeError",
    "DescriptorError",
    "EncodeError",
    "FastpyrError",
    "GridError",
    "NotFoundError",
    "RequestError",
    "SlabError",
    "SourceError",
    "StoreError",
    "WorkerError",
]


class FastpyrError(Exception):
    """Base of all errors raised on purpose by fastpyr."""


class ConfigError(FastpyrError):
    """A parameter, or a combination of parameters, cannot work."""


class GridError(FastpyrError):
    """Unknown or unusable tile matrix set, level or coordinate reference system."""


class SourceError(FastpyrError):
    """A source raster is missing, unreadable, damaged or of an unsupported kind."""


class EncodeError(FastpyrError):
    """Pixels cannot be encoded in the asked tile format."""


class DatabaseError(FastpyrError):
    """A geodatabase, or an object in it, is missing, damaged, or does not fit what is asked."""


class DecodeError(FastpyrError):
    """The bytes of a stored tile do not decode under the rules of its format."""


class SlabError(FastpyrError):
    """A slab file breaks the slab layout, or would break one of its limits."""


class StoreError(FastpyrError):
    """Reading from or writing to storage failed."""


class WorkerError(FastpyrError):
    """Other processes or machines cannot do their part of a build."""


class DescriptorError(FastpyrError):
    """A pyramid descriptor or list file is missing or invalid."""


class RequestError(FastpyrError):
    """The platform cannot make sense of a request: a value is missing, unknown or out of bounds."""


class NotFoundError(FastpyrError):
    """The platform knows no entity or file of that name."""


class ConflictError(FastpyrError):
    """The platform refuses: the state of an entity, or another entity, stands against it."""
