"""Every way a repack can end without an output, one class each.

A class's name is its public name: state machines, pipelines and people match on it. The class that it is one of, its
category, says who can help:

    RepackError
        CallersMistake   whoever asked: never retried
        PassingFailure   time: retried
        TooBigForHere    a machine with more time: handed to Fargate

Each docstring says what happened, then what to do; docs/errors.md is made of them.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

CALLER = "caller's mistake"
PASSING = "passing"
TOO_BIG = "too big for here"


class RepackError(Exception):
    """The root of all errors that callers see; its text is one sentence that says what to do."""

    category: str

    @property
    def name(self) -> str:
        return type(self).__name__


class CallersMistake(RepackError):
    """Trying again changes nothing: what is wrong is in the request, the archive or the rights."""

    category = CALLER


class PassingFailure(RepackError):
    """Trying again may do."""

    category = PASSING


class TooBigForHere(RepackError):
    """The same succeeds where there is more time."""

    category = TOO_BIG


class InvalidRequest(CallersMistake):
    """The request itself is wrong: an unknown field, a bad URI, an impossible name.

    Mend what the sentence names; nothing was read or written.
    """


class InvalidArchive(CallersMistake):
    """The source is not an intact tar.gz.

    Upload or pack the model again: a download was cut off, a disk failed, or it never was a tar.gz. The sentence
    says at which byte.
    """


class InvalidHyperparameters(CallersMistake):
    """The hyperparameters are not a UTF-8 JSON object with finite numbers and unique keys.

    Mend the JSON that the sentence quotes.
    """


class MissingHyperparameters(CallersMistake):
    """No hyperparameters were given where they are needed, or none are where they should be; or nothing is to be done.

    Give hyperparameters, or the right place of them, or say what else to change.
    """


class EntryExists(CallersMistake):
    """The archive already holds the entry and the request says if_present=error.

    Say if_present=replace or keep, or take the entry out of the model.
    """


class EntryConflict(CallersMistake):
    """An entry of the archive stands in the edit's way: a directory of that name, a hard link to what goes.

    Take out of the model what the sentence names, or choose another name.
    """


class EntryNotFound(CallersMistake):
    """The archive holds no such entry to read.

    See what there is: `python -m lambda_fn inspect`.
    """


class SourceNotFound(CallersMistake):
    """The source, or a file or folder that shall be put in, does not exist.

    Look at the path or key, letter by letter. Without the right to list a bucket, S3 says AccessDenied instead.
    """


class AccessDenied(CallersMistake):
    """Reading the source or writing the output is not permitted.

    Give the right that the sentence names to whoever runs this: s3:GetObject, s3:PutObject, kms:Decrypt, a file's mode.
    """


class ArchiveTooLarge(CallersMistake):
    """Uncompressed size or ratio are beyond the limits: most likely a bomb.

    If it is none, raise the limit: `--max-ratio`, `ratio_limit` of a deployment or a step, `Limits` in Python.
    """


class SourceChanged(PassingFailure):
    """The source was overwritten while it was read.

    Try again when nobody writes to it any more.
    """


class OutputChanged(PassingFailure):
    """Somebody else wrote the output meanwhile; theirs was kept.

    See whose output is wanted, then try again. Give each writer an output of its own.
    """


class OutputNotProved(PassingFailure):
    """What the store says it wrote is not what was sent; it was deleted.

    Try again. If it comes back, the store or the way to it damages data: keep the sentence and report it.
    """


class StoreUnavailable(PassingFailure):
    """The store fails or throttles beyond the retries.

    Try again later, with fewer at a time.
    """


class StoreFull(CallersMistake):
    """No room for the output.

    Make room on the disk; for a rewrite in S3, see the limit that the sentence names.
    """


class OutOfTime(TooBigForHere):
    """This machine's time ends before the repack would.

    Run it on Fargate or any machine without a time limit.
    """


@contextmanager
def of_archive(uri: str) -> Iterator[None]:
    """Has the errors that speak of an archive, which knows no name of its own, say which one it is."""
    try:
        yield
    except (InvalidArchive, ArchiveTooLarge, EntryExists, EntryConflict, EntryNotFound) as error:
        raise type(error)(f"{uri}: {error}") from error
