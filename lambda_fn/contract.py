"""The contract with every caller: Request in, Result or one of the named errors out.

The same JSON serves the Lambda, the state machine, the Fargate task, a line of a batch and the command line.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Mapping, Optional

from .core.errors import (
    CALLER,
    PASSING,
    TOO_BIG,
    AccessDenied,
    ArchiveTooLarge,
    EntryConflict,
    EntryExists,
    InvalidArchive,
    InvalidHyperparameters,
    InvalidRequest,
    MissingHyperparameters,
    OutOfTime,
    OutputChanged,
    OutputNotProved,
    RepackError,
    SourceChanged,
    SourceNotFound,
    StoreFull,
    StoreUnavailable,
)

__all__ = [
    "CALLER",
    "PASSING",
    "TOO_BIG",
    "AccessDenied",
    "ArchiveTooLarge",
    "EntryConflict",
    "EntryExists",
    "InvalidArchive",
    "InvalidHyperparameters",
    "InvalidRequest",
    "MissingHyperparameters",
    "OutOfTime",
    "OutputChanged",
    "OutputNotProved",
    "RepackError",
    "Request",
    "Result",
    "SourceChanged",
    "SourceNotFound",
    "StoreFull",
    "StoreUnavailable",
]

IF_PRESENT = ("replace", "keep", "error")
VERIFY = ("once", "always", "never")


@dataclass(frozen=True)
class Request:
    """What to repack. URIs are `s3://bucket/key`, or paths on the command line.

    With both `hyperparameters_uri` and `hyperparameters`, the latter are merged over the former, key by key.
    With `hyperparameters_uri` alone its bytes are kept exactly as they are.
    """

    model_uri: str
    output_uri: str
    hyperparameters: Optional[Mapping[str, Any]] = None
    hyperparameters_uri: Optional[str] = None
    files: Mapping[str, str] = field(default_factory=dict)
    """Further entries to add or replace: name in the archive → URI of its bytes."""
    if_present: str = "replace"
    verify: str = "once"

    def __post_init__(self) -> None:
        """Raises InvalidRequest, in one sentence, for anything that cannot be a request."""
        for name in ("model_uri", "output_uri", "hyperparameters_uri"):
            value = getattr(self, name)
            if name == "hyperparameters_uri" and value is None:
                continue
            if not isinstance(value, str) or not value:
                raise InvalidRequest(f"{name} must be an s3:// URI or a path, not {value!r}")
        if self.hyperparameters is not None and not isinstance(self.hyperparameters, Mapping):
            raise InvalidRequest(f"hyperparameters must be a JSON object, not {type(self.hyperparameters).__name__}")
        if not isinstance(self.files, Mapping) or not all(
            isinstance(name, str) and name and isinstance(uri, str) and uri for name, uri in self.files.items()
        ):
            raise InvalidRequest("files must be an object of entry names and URIs")
        if self.if_present not in IF_PRESENT:
            raise InvalidRequest(f"if_present must be one of {', '.join(IF_PRESENT)}, not {self.if_present!r}")
        if self.verify not in VERIFY:
            raise InvalidRequest(f"verify must be one of {', '.join(VERIFY)}, not {self.verify!r}")

    @classmethod
    def from_json(cls, document: Any) -> Request:
        """A Request from a parsed JSON object; null counts as not given, and so does "": an empty cell of a CSV.

        Raises InvalidRequest.
        """
        if not isinstance(document, Mapping):
            raise InvalidRequest(f"a request is a JSON object, not {type(document).__name__}")
        known = {item.name for item in fields(cls)}
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
        document = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in document.items() if value or (name, value) == ("hyperparameters", {})}


@dataclass(frozen=True)
class SourceFacts:
    """The source as it was read; what no scan was needed for is None."""

    etag: Optional[str]
    version_id: Optional[str]
    size: int
    uncompressed_size: Optional[int]
    entries: Optional[int]


@dataclass(frozen=True)
class OutputFacts:
    """The output as its store describes it."""

    etag: Optional[str]
    version_id: Optional[str]
    size: int
    proof: Optional[str]
    """The store's checksum that proved the output byte for byte, None where it offers none."""


@dataclass(frozen=True)
class Bytes:
    """What moved: read from the store, uploaded to it, copied inside it."""

    read: int
    uploaded: int
    copied: int


@dataclass(frozen=True)
class Result:
    """What a repack did."""

    model_uri: str
    output_uri: str
    method: str
    """unchanged, graft, splice or rewrite."""
    source: SourceFacts
    output: OutputFacts
    hyperparameters_sha256: Optional[str]
    """Of the bytes now in the archive; None if the request put in other files only."""
    bytes: Bytes
    seconds: float
    warnings: tuple[str, ...] = ()
    """What a person should know of the source and the output, a sentence each."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the same shape."""
        return {**asdict(self), "warnings": list(self.warnings)}

    def flat(self) -> dict[str, Any]:
        """The same as one object of plain values, for callers that cannot look into nested ones (a SageMaker step).

        Names are joined: `source_etag`, `output_size`, `bytes_read`. The warnings are one text of at most 1024
        characters, all that such a step takes.
        """
        document: dict[str, Any] = {}
        for name, value in self.to_json().items():
            document.update(
                {f"{name}_{part}": of for part, of in value.items()} if isinstance(value, dict) else {name: value}
            )
        return {**document, "warnings": "\n".join(self.warnings)[:1024]}
