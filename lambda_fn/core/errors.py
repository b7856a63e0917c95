"""Every way a repack can end without an output, one class each.

A class's name is its public name: state machines, pipelines and people match on it. Its category says
who can help: the caller (never retried), time (retried), or a machine with more of it (handed to Fargate).
"""

from __future__ import annotations

CALLER = "caller's mistake"
PASSING = "passing"
TOO_BIG = "too big for here"


class RepackError(Exception):
    """The root of all errors that callers see; its text is one sentence that says what to do."""

    category = CALLER

    @property
    def name(self) -> str:
        return type(self).__name__


class InvalidRequest(RepackError):
    """The request itself is wrong: an unknown field, a bad URI, an impossible name."""


class InvalidArchive(RepackError):
    """The source is not an intact tar.gz."""


class InvalidHyperparameters(RepackError):
    """The hyperparameters are not a UTF-8 JSON object with finite numbers and unique keys."""


class MissingHyperparameters(RepackError):
    """Nothing to put in was given, or it does not exist."""


class EntryExists(RepackError):
    """The archive already holds the entry and the request says if_present=error."""


class EntryConflict(RepackError):
    """An entry of the archive stands in the edit's way: a directory of that name, a hard link to what goes."""


class EntryNotFound(RepackError):
    """The archive holds no such entry to read."""


class SourceNotFound(RepackError):
    """The source does not exist."""


class AccessDenied(RepackError):
    """Reading the source or writing the output is not permitted."""


class ArchiveTooLarge(RepackError):
    """Uncompressed size or ratio are beyond the limits: most likely a bomb."""


class SourceChanged(RepackError):
    """The source was overwritten while it was read."""

    category = PASSING


class OutputChanged(RepackError):
    """Somebody else wrote the output meanwhile; theirs was kept."""

    category = PASSING


class OutputNotProved(RepackError):
    """What the store says it wrote is not what was sent; it was deleted."""

    category = PASSING


class StoreUnavailable(RepackError):
    """The store fails or throttles beyond the retries."""

    category = PASSING


class StoreFull(RepackError):
    """No room for the output."""


class OutOfTime(RepackError):
    """This machine's time ends before the repack would."""

    category = TOO_BIG
