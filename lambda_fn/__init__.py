"""The serverless repacker: puts files into a packed model without extracting, recompressing or re-uploading it.

What is exported here is what versions speak for; everything else may change any day.
"""

from importlib import import_module

TYPE_CHECKING = False  # to import `typing` is a tenth of the start, if it is done before `__main__` (see there)
if TYPE_CHECKING:
    from .contract import (
        AccessDenied,
        ArchiveTooLarge,
        CallersMistake,
        EntryConflict,
        EntryExists,
        EntryNotFound,
        Forecast,
        InvalidArchive,
        InvalidHyperparameters,
        InvalidRequest,
        MissingHyperparameters,
        OutOfTime,
        OutputChanged,
        OutputNotProved,
        PassingFailure,
        RepackError,
        Request,
        Result,
        SourceChanged,
        SourceNotFound,
        StoreFull,
        StoreUnavailable,
        TooBigForHere,
    )
    from .core.gzip import Limits
    from .repacker import forecast, read_entry, repack, run
    from .stores.s3 import S3Access

__version__ = "0.2.0"
"""What CHANGELOG.md tells of; the distribution takes it from here, and so can everybody."""

__all__ = [
    "AccessDenied",
    "ArchiveTooLarge",
    "CallersMistake",
    "EntryConflict",
    "EntryExists",
    "EntryNotFound",
    "Forecast",
    "InvalidArchive",
    "InvalidHyperparameters",
    "InvalidRequest",
    "Limits",
    "MissingHyperparameters",
    "OutOfTime",
    "OutputChanged",
    "OutputNotProved",
    "PassingFailure",
    "RepackError",
    "Request",
    "Result",
    "S3Access",
    "SourceChanged",
    "SourceNotFound",
    "StoreFull",
    "StoreUnavailable",
    "TooBigForHere",
    "forecast",
    "read_entry",
    "repack",
    "run",
]

_NOT_OF_THE_CONTRACT = {
    "Limits": ".core.gzip",
    "S3Access": ".stores.s3",
    "forecast": ".repacker",
    "read_entry": ".repacker",
    "repack": ".repacker",
    "run": ".repacker",
}


def __getattr__(name: str) -> object:
    """Each name is imported when it is asked for, so that no entry point pays for what it does not use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_NOT_OF_THE_CONTRACT.get(name, ".contract"), __name__), name)
