"""A Request carried out: its URIs opened as stores, its edit gathered, the core's repack run, a Result made."""

from __future__ import annotations

import os
import time
from contextlib import closing, contextmanager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Mapping, Optional, Sequence, Union

from . import hyperparameters
from .contents import contents_of_file, is_folder, puts
from .contract import VERIFY, Bytes, Forecast, OutputFacts, Request, Result, SourceFacts
from .core import read
from .core.edit import Content, Edit, IfPresent, Merge
from .core.errors import (
    ArchiveTooLarge,
    InvalidHyperparameters,
    InvalidRequest,
    MissingHyperparameters,
    SourceNotFound,
    of_archive,
)
from .core.gzip import Limits
from .core.history import Verify
from .core.plan import Plan
from .core.repack import Job
from .core.search import Search
from .core.store import Progress, Source, Stages
from .core.tar import Entry
from .core.value import Value
from .inspection import Inspection
from .stores import access_for, local_path, open_source, open_target

if TYPE_CHECKING:
    from .stores.s3 import S3Access

Given = Union[bytes, bytearray, memoryview, os.PathLike[str], Content, Mapping[str, Any]]
"""What an entry may be given as: its bytes, the path of a file or folder, or, of hyperparameters.json, an object."""
Path = Union[str, os.PathLike[str]]
SHOWN = 100
"""Paths in a Result."""
HYPERPARAMETERS_LIMIT = 10 << 20
"""Bytes of hyperparameters: they are parsed, and handed on by SageMaker and Step Functions, which take far less."""


def repack(
    model_uri: Path,
    output_uri: Path,
    files: Mapping[str, Given] = MappingProxyType({}),
    *,
    folders: Mapping[str, Path] = MappingProxyType({}),
    remove: Sequence[str] = (),
    strip_root: bool = False,
    if_present: IfPresent = "replace",
    verify: Verify = "once",
    everything: bool = False,
    s3: Optional[S3Access] = None,
    limits: Limits = Limits(),
    progress: Progress = lambda done, total: None,
) -> Result:
    """Write the archive at `model_uri`, edited, to `output_uri`; both are paths or s3:// URIs.

        >>> result = repack("model.tar.gz", "out/model.tar.gz", {"hyperparameters.json": b'{"depth": 6}'})
        >>> result.method
        'graft'

    `files` are put in: path in the archive → bytes, or a `pathlib.Path` of a file of any size or of a folder, or, of
    hyperparameters.json, a dict. Each is the only entry of its path afterwards. `folders` afterwards hold exactly what
    lies at a path, an `s3://bucket/prefix/`, or in a .tar.gz. `remove` takes out what matches patterns like lines of a
    .gitignore file. `strip_root` takes away the one folder at the top that holds everything else. Every other entry
    stays as it is and where it is. The output appears whole or not at all; it may replace the model itself.

    `if_present` says what becomes of a file that is there already: replace, keep or error. `verify` says when the model
    is surveyed in full: once (what this program made, and the store can vouch for, is believed), always, or never (the
    mark in the archive itself is believed). `everything` puts in of folders what version control, caches and macOS
    leave there, too. Raises the errors of `contract`.
    """
    began = time.monotonic()
    request = _Given(os.fspath(model_uri), os.fspath(output_uri), verify)
    if verify not in VERIFY:
        raise InvalidRequest(f"verify must be one of {', '.join(VERIFY)}, not {verify!r}")

    for what, named in (("files", files), ("folders", folders)):
        if not isinstance(named, Mapping) or not all(isinstance(name, str) for name in named):
            raise InvalidRequest(f"{what} must be a dict of paths in the archive, as str, and what they hold")

    def wanted(access: Optional[S3Access]) -> Wanted:
        at_hand, paths = {}, {}
        for name, given in files.items():
            if isinstance(given, os.PathLike):
                paths[name] = os.fspath(given)
            else:
                at_hand[name] = _content(name, given)
        places = {name: os.fspath(place) for name, place in folders.items()}
        put, left_out = puts(paths, places, access, everything)
        put.update(at_hand)
        if hyperparameters.ENTRY in put and not isinstance(put[hyperparameters.ENTRY], Merge):
            _check(put[hyperparameters.ENTRY], paths.get(hyperparameters.ENTRY))
        return Wanted(_edit(put, places, remove, strip_root, if_present), _told(left_out))

    places = [_folder(os.fspath(place)) for place in folders.values()]
    given = [os.fspath(content) for content in files.values() if isinstance(content, os.PathLike)]
    with _job(request, wanted, [*places, *given], s3, limits, progress) as (job, asked):
        return _result(job, request, asked, began)


def run(
    request: Request,
    *,
    s3: Optional[S3Access] = None,
    limits: Limits = Limits(),
    progress: Progress = lambda done, total: None,
) -> Result:
    """Carry a request out. Raises the errors of `contract`; then the output is as it was."""
    began = time.monotonic()
    with _job(request, partial(gather, request), _uris(request), s3, limits, progress) as (job, wanted):
        return _result(job, request, wanted, began)


def forecast(
    request: Request,
    *,
    s3: Optional[S3Access] = None,
    limits: Limits = Limits(),
    progress: Progress = lambda done, total: None,
) -> Forecast:
    """What `run` would do. Nothing is written. Raises the errors that `run` would raise before it writes."""
    with _job(request, partial(gather, request), _uris(request), s3, limits, progress) as (job, wanted):
        plan = job.forecast() or job.plan(copying=False)
        moved = Bytes(job.source.bytes_read, plan.uploaded, plan.copied)
        warnings = _refused_later(plan, job.limits, plan.size)
        return Forecast(**_account(request, wanted, plan, job.source, moved, warnings), output_size=plan.size)


def likely(request: Request, s3: Optional[S3Access] = None) -> tuple[Optional[Plan], int]:
    """The plan where none needs a survey, else None; and the model's size. Only heads and inputs are read."""
    with _job(request, partial(gather, request), _uris(request), s3, Limits(), lambda done, total: None) as (job, _):
        return job.forecast(), job.source.size


def read_entry(
    model_uri: Path, name: str, *, s3: Optional[S3Access] = None, limits: Limits = Limits()
) -> Iterator[bytes]:
    """The bytes, in chunks, of the file that extracting the archive leaves under this path.

    Of one that this program put in front some KiB are read, else the archive to its end. Raises EntryNotFound,
    EntryConflict if it is no plain file, and what a survey raises.
    """
    uri = os.fspath(model_uri)
    source = open_source(uri, access_for([uri], s3), only_read=True)

    def chunks() -> Iterator[bytes]:
        with closing(source), of_archive(uri):
            yield from read.read_entry(source, name, limits)

    return chunks()


class Wanted:
    """What a request comes to, once its inputs were looked at."""

    def __init__(
        self, edit: Edit, warnings: tuple[str, ...] = (), merged: Sequence[hyperparameters.Merged] = ()
    ) -> None:
        """`merged` is filled with what laying hyperparameters over those of the archive comes to."""
        self.edit = edit
        self.warnings = warnings
        self.merged = merged
        self._inspection = Inspection(edit.put, edit.strip_root)
        self._search = Search(edit, {})

    @property
    def keys(self) -> tuple[Optional[tuple[str, ...]], Optional[tuple[str, ...]]]:
        """Which hyperparameters of the archive are changed, and kept; None where none were laid over them."""
        return (self.merged[0].changed, self.merged[0].kept) if self.merged else (None, None)

    def visit(self, entry: Entry) -> None:
        """Have an entry inspected, unless it goes or is replaced."""
        path = entry.path.partition("/")[2] if self.edit.strip_root else entry.path
        if path not in self.edit.put and not self._search.goes(path, entry.is_directory):
            self._inspection.see(entry)

    def stumbling(self, plan: Plan) -> Iterator[str]:
        """What SageMaker would stumble over in what was planned, as far as a survey has seen it."""
        if plan.survey is not None and plan.survey.entries is not None:
            held = plan.content.get(hyperparameters.ENTRY)
            small = held is not None and not held.directory and held.size <= HYPERPARAMETERS_LIMIT
            yield from self._inspection.warnings(b"".join(held.open()) if held is not None and small else None)


def gather(request: Request, s3: Optional[S3Access] = None) -> Wanted:
    """The edit that a request asks for.

    Raises MissingHyperparameters, InvalidHyperparameters, InvalidRequest, and what is wrong with what it puts in.
    """
    put, left_out = puts(request.files, request.folders, s3, request.everything)
    name, values, uri = hyperparameters.ENTRY, request.hyperparameters, request.hyperparameters_uri
    merged = list[hyperparameters.Merged]()
    if name in put:
        if values is not None or uri is not None:
            raise InvalidRequest(f"{name} is given twice, as a file and as hyperparameters; give it once")
        _check(put[name], request.files.get(name))
    elif uri is not None:
        try:
            given = contents_of_file(uri, s3)
        except SourceNotFound as error:
            raise MissingHyperparameters(str(error)) from None
        put[name] = Content.of(hyperparameters.merged(_check(given, uri), values or {}, uri).data)
    elif values is not None and request.merge_hyperparameters:
        hyperparameters.serialize(values)
        put[name] = Merge.by(partial(_laid_over, values, merged))
    elif values is not None:
        put[name] = Content.of(hyperparameters.serialize(values))
    if not (put or request.folders or request.remove or request.strip_root):
        raise MissingHyperparameters("nothing to do: give hyperparameters, files, folders or what to remove")
    edit = _edit(put, request.folders, request.remove, request.strip_root, request.if_present)
    return Wanted(edit, _told(left_out), merged)


def _edit(
    put: Mapping[str, Content], folders: Iterable[str], remove: Sequence[str], strip_root: bool, if_present: IfPresent
) -> Edit:
    if isinstance(remove, str) or not all(isinstance(pattern, str) for pattern in remove):
        raise InvalidRequest('remove must be a list of patterns, each a str, such as ["checkpoint-*"]')
    places = frozenset(name.rstrip("/") for name in folders)
    return Edit(put, tuple(remove), places, strip_root, if_present, _date())


def _date() -> Optional[int]:
    """What reproducible builds say that everything is dated to (reproducible-builds.org, SOURCE_DATE_EPOCH)."""
    said = os.environ.get("SOURCE_DATE_EPOCH")
    if said is None:
        return None
    if not said.isascii() or not said.isdigit() or int(said) >= 8**11:
        raise InvalidRequest(f"SOURCE_DATE_EPOCH is {said!r}; it must be seconds since 1970, or not be set")
    return int(said)


def _content(name: str, given: object) -> Content:
    """What the Python function was given, as content. Raises InvalidRequest where it could mean several things."""
    if isinstance(given, Content):
        return given
    if isinstance(given, (bytes, bytearray, memoryview)):
        return Content.of(bytes(given))
    if isinstance(given, Mapping) and name == hyperparameters.ENTRY:
        return Content.of(hyperparameters.serialize(given))
    said = f"{name} is given as {type(given).__name__}"
    raise InvalidRequest(f"{said}; give its bytes, or the pathlib.Path of a file or folder that holds it")


def _check(content: Content, named: Optional[str] = None) -> bytes:
    """The hyperparameters that a file or the caller gives. Raises InvalidHyperparameters."""
    named = named or "the hyperparameters"
    if content.directory or content.size > HYPERPARAMETERS_LIMIT:
        what = "a folder" if content.directory else f"a file of {content.size:,} bytes"
        raise InvalidHyperparameters(f"{named} cannot be {what}; give a JSON file of at most 10 MiB")
    data = b"".join(content.open())
    hyperparameters.parse(data, named)
    return data


def _laid_over(values: Mapping[str, Any], done: list[hyperparameters.Merged], held: Optional[bytes]) -> bytes:
    done[:] = [hyperparameters.merged(held or b"{}", values, "the archive's hyperparameters.json")]
    return done[0].data


def _told(left_out: int) -> tuple[str, ...]:
    if not left_out:
        return ()
    return (f"left out of folders: {left_out} of version control, caches and macOS; --everything puts them in, too",)


@contextmanager
def _job(
    request: _Given | Request,
    gathered: Callable[[Optional[S3Access]], Wanted],
    uris: Iterable[str],
    s3: Optional[S3Access],
    limits: Limits,
    progress: Progress,
) -> Iterator[tuple[Job, Wanted]]:
    """Everything opened: the target first, so that whoever reads newer inputs cannot be overtaken by older ones."""
    uris = list(uris)
    for uri in (request.model_uri, request.output_uri, *uris):
        if not uri.startswith("s3://"):
            local_path(uri)  # or an error
    _check_apart(request, uris)
    s3 = access_for([request.model_uri, request.output_uri, *uris], s3)
    with closing(open_target(request.output_uri, s3)) as target:
        wanted = gathered(s3)
        with closing(open_source(request.model_uri, s3)) as source, of_archive(request.model_uri):
            yield Job(source, target, wanted.edit, request.verify, limits, Stages(progress), wanted.visit), wanted


def _check_apart(request: _Given | Request, uris: Sequence[str]) -> None:
    """Raises InvalidRequest if the output is a file that is put in, or an archive lies in a folder that is."""
    output = request.output_uri
    for uri in uris:
        there = os.path.isfile(uri) and os.path.exists(output)
        if uri.rstrip("/") == output or (there and os.path.samefile(uri, output)):
            raise InvalidRequest(f"{output} is put in, and would be replaced by the output; name another output")
    for folder in filter(is_folder, uris):
        for archive in (request.model_uri, request.output_uri):
            if _real(archive).startswith(os.path.join(_real(folder), "")):
                raise InvalidRequest(f"{archive} lies in {folder}, which is put in; keep it in another place")


def _real(uri: str) -> str:
    """Where it lies, whatever links lead there."""
    return uri if uri.startswith("s3://") else os.path.realpath(uri)


def _folder(uri: str) -> str:
    """Where a folder is asked for, S3 needs no slash at its end."""
    return f"{uri.rstrip('/')}/" if uri.startswith("s3://") else uri


class _Given(Value):
    """What the Python function and a Request have in common."""

    model_uri: str
    output_uri: str
    verify: Verify


def _uris(request: Request) -> list[str]:
    return [request.hyperparameters_uri or "", *request.files.values(), *map(_folder, request.folders.values())]


def _result(job: Job, request: _Given | Request, wanted: Wanted, began: float) -> Result:
    plan, published = job.run()
    held = plan.content.get(hyperparameters.ENTRY)
    read_twice = plan.source.bytes_read if plan.source is not job.source else 0
    moved = Bytes(job.source.bytes_read + read_twice, published.uploaded, published.copied)
    later = _refused_later(plan, job.limits, published.size)
    return Result(
        **_account(request, wanted, plan, job.source, moved, (*job.source.warnings, *published.warnings, *later)),
        output=OutputFacts(published.etag, published.version_id, published.size, published.proof),
        hyperparameters_sha256=held.identity if held else None,
        seconds=round(time.monotonic() - began, 3),
    )


def _refused_later(plan: Plan, limits: Limits, size: Optional[int]) -> Iterator[str]:
    """What the next repack, under the same limits, will say of the output because of what is put in."""
    unpacked = plan.survey.uncompressed_size if plan.survey else None
    if unpacked is None or size is None or plan.removed_count:
        return
    try:
        limits.check(size, unpacked + sum(plan.content[name].size for name in plan.put if name in plan.content))
    except ArchiveTooLarge as error:
        yield f"of the output: {error}"


def _account(
    request: _Given | Request, wanted: Wanted, plan: Plan, source: Source, moved: Bytes, warnings: Iterable[str] = ()
) -> dict[str, Any]:
    """The fields that a Result and a Forecast have in common."""
    found = plan.survey
    size, entries = (found.uncompressed_size, found.entries) if found else (None, None)
    changed, kept = wanted.keys
    told = (*wanted.warnings, *plan.warnings, *wanted.stumbling(plan), *warnings)
    return {
        "model_uri": request.model_uri,
        "output_uri": request.output_uri,
        "method": plan.method,
        "why": plan.why,
        "source": SourceFacts(source.etag, source.version_id, source.size, size, entries),
        "bytes": moved,
        "put": plan.put[:SHOWN],
        "put_count": len(plan.put),
        "removed": plan.removed,
        "removed_count": plan.removed_count,
        "hyperparameters_changed": changed,
        "hyperparameters_kept": kept,
        "warnings": tuple(dict.fromkeys(told)),  # a store may repeat what its source says
    }
