"""The contract with every caller: Request in, Result or one of the named errors out.

The same JSON serves the Lambda, the state machine, the Fargate task, a line of a batch and the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, get_args

from .core.edit import Edit, IfPresent
from .core.errors import (
    CALLER,
    PASSING,
    TOO_BIG,
    AccessDenied,
    ArchiveTooLarge,
    CallersMistake,
    EntryConflict,
    EntryExists,
    EntryNotFound,
    InvalidArchive,
    InvalidHyperparameters,
    InvalidRequest,
    MissingHyperparameters,
    OutOfTime,
    OutputChanged,
    OutputNotProved,
    PassingFailure,
    RepackError,
    SourceChanged,
    SourceNotFound,
    StoreFull,
    StoreUnavailable,
    TooBigForHere,
)
from .core.value import Value

if TYPE_CHECKING:
    from .core.history import Verify
    from .core.plan import Method

__all__ = [
    "CALLER",
    "PASSING",
    "TOO_BIG",
    "AccessDenied",
    "ArchiveTooLarge",
    "CallersMistake",
    "EntryConflict",
    "EntryExists",
    "EntryNotFound",
    "InvalidArchive",
    "InvalidHyperparameters",
    "InvalidRequest",
    "MissingHyperparameters",
    "OutOfTime",
    "OutputChanged",
    "OutputNotProved",
    "PassingFailure",
    "RepackError",
    "Request",
    "Result",
    "SourceChanged",
    "SourceNotFound",
    "StoreFull",
    "StoreUnavailable",
    "TooBigForHere",
]

IF_PRESENT: tuple[IfPresent, ...] = get_args(IfPresent)
VERIFY: tuple[Verify, ...] = ("once", "always", "never")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_object_of_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(_is_text(name) and _is_text(uri) for name, uri in value.items())


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


KINDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "model_uri": (_is_text, "an s3:// URI or a path"),
    "output_uri": (_is_text, "an s3:// URI or a path"),
    "hyperparameters_uri": (lambda value: value is None or _is_text(value), "an s3:// URI or a path"),
    "hyperparameters": (lambda value: value is None or isinstance(value, Mapping), "a JSON object"),
    "files": (_is_object_of_texts, "an object of entry names and URIs"),
    "folders": (_is_object_of_texts, "an object of entry names and URIs"),
    "remove": (
        lambda value: isinstance(value, (list, tuple)) and all(map(_is_text, value)),
        'a list of patterns, such as ["checkpoint-*"]',
    ),
    "strip_root": (_is_flag, "true or false"),
    "merge_hyperparameters": (_is_flag, "true or false"),
    "everything": (_is_flag, "true or false"),
    "if_present": (lambda value: value in IF_PRESENT, f"one of {', '.join(IF_PRESENT)}"),
    "verify": (lambda value: value in VERIFY, f"one of {', '.join(VERIFY)}"),
}
"""What the fields of a request may be, in code and in words."""


class Request(Value):
    """What to repack. URIs are `s3://bucket/key`, or paths on the command line.

    With both `hyperparameters_uri` and `hyperparameters`, the latter are merged over the former, key by key.
    With `hyperparameters_uri` alone its bytes are kept exactly as they are. With `hyperparameters` alone they take the
    place of what the archive holds, or, with `merge_hyperparameters`, are laid over it.
    """

    model_uri: str
    output_uri: str
    hyperparameters: Optional[Mapping[str, Any]] = None
    hyperparameters_uri: Optional[str] = None
    files: Mapping[str, str] = {}
    """Further entries to add or replace: name in the archive → URI of a file, or of a folder for all that is in it."""
    folders: Mapping[str, str] = {}
    """Folders that afterwards hold exactly what lies there: name → URI of a folder, or of a .tar.gz that holds it."""
    remove: tuple[str, ...] = ()
    """Patterns of entries to take out, like lines of a .gitignore file (see `core.edit.matcher`)."""
    strip_root: bool = False
    """Take away the one folder at the top that holds everything else."""
    merge_hyperparameters: bool = False
    """Lay `hyperparameters` over those that the archive holds, key by key; without a `hyperparameters_uri`."""
    everything: bool = False
    """Put in of folders what version control, caches and macOS leave there, too."""
    if_present: IfPresent = "replace"
    verify: Verify = "once"

    def __post_init__(self) -> None:
        """Raises InvalidRequest, in one sentence, for anything that cannot be a request."""
        for name, (fits, wanted) in KINDS.items():
            value = getattr(self, name)
            if not fits(value):
                plain = isinstance(value, (str, bool, int, float, list, tuple, type(None)))
                shown = repr(value)[:100] if plain else type(value).__name__
                raise InvalidRequest(f"{name} must be {wanted}, not {shown}")
        object.__setattr__(self, "remove", tuple(self.remove))
        if self.merge_hyperparameters and self.hyperparameters is None:
            raise InvalidRequest("merge_hyperparameters needs hyperparameters to lay over those of the archive")
        if self.merge_hyperparameters and self.if_present != "replace":
            raise InvalidRequest("merge_hyperparameters changes what is there, so if_present can only be replace")
        Edit(drop=self.remove)

    @classmethod
    def from_json(cls, document: Any) -> Request:
        """A Request from a parsed JSON object; null counts as not given, and so does "": an empty cell of a CSV.

        Raises InvalidRequest.
        """
        if not isinstance(document, Mapping):
            raise InvalidRequest(f"a request is a JSON object, not {type(document).__name__}")
        known = set(cls._fields)
        unknown = sorted(str(name) for name in document if name not in known)
        if unknown:
            raise InvalidRequest(f"unknown in a request: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        given = {name: value for name, value in document.items() if value not in (None, "")}
        missing = [name for name in ("model_uri", "output_uri") if name not in given]
        if missing:
            raise InvalidRequest(f"a request needs {' and '.join(missing)}")
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads back, without what is not given."""
        return {
            name: value for name, value in self._asdict().items() if value or (name, value) == ("hyperparameters", {})
        }


class SourceFacts(Value):
    """The source as it was read; what no scan was needed for is None."""

    etag: Optional[str]
    version_id: Optional[str]
    size: int
    uncompressed_size: Optional[int]
    entries: Optional[int]


class OutputFacts(Value):
    """The output as its store describes it."""

    etag: Optional[str]
    version_id: Optional[str]
    size: int
    proof: Optional[str]
    """The store's checksum that proved the output byte for byte, None where it offers none."""


class Bytes(Value):
    """What moved: read from the store, uploaded to it, copied inside it."""

    read: int
    uploaded: int
    copied: int


class Account(Value):
    """What a Result and a Forecast have in common."""

    model_uri: str
    output_uri: str
    method: Method
    why: str
    """The reason for the method, a sentence."""
    source: SourceFacts
    bytes: Bytes
    """Of a Forecast: what was read for it, and would be uploaded and copied, as far as that is known."""
    put: tuple[str, ...]
    """Paths of entries that are new, or new in content, the first hundred of `put_count`."""
    put_count: int
    removed: tuple[str, ...]
    """Paths of entries that are gone, the first hundred of `removed_count`."""
    removed_count: int
    hyperparameters_changed: Optional[tuple[str, ...]]
    """Keys that are new or have another value, where they were laid over those of the archive; else None."""
    hyperparameters_kept: Optional[tuple[str, ...]]
    """Keys that are as the archive had them; likewise."""
    warnings: tuple[str, ...]
    """What a person should know of the source and the output, a sentence each."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the same shape."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self._asdict().items()}


class Result(Account):
    """What a repack did."""

    output: OutputFacts
    hyperparameters_sha256: Optional[str]
    """Of the bytes now in the archive; None if the request put in other files only."""
    seconds: float

    def flat(self) -> dict[str, Any]:
        """The same as one object of plain values, for callers that cannot look into nested ones (a SageMaker step).

        Names are joined: `source_etag`, `output_size`, `bytes_read`. Lists are one text of at most 1024 characters,
        all that such a step takes.
        """
        document: dict[str, Any] = {}
        for name, value in self.to_json().items():
            if isinstance(value, dict):
                document.update({f"{name}_{part}": of for part, of in value.items()})
            else:
                document[name] = "\n".join(value)[:1024] if isinstance(value, list) else value
        return document


class Forecast(Account):
    """What a repack would do; nothing was written."""

    output_size: Optional[int]
    """None where it is known only when all is encoded."""
