"""A Request carried out: its URIs opened as stores, its overlay gathered, the core's repack run, a Result made."""

from __future__ import annotations

import hashlib
import time
from contextlib import closing
from typing import TYPE_CHECKING, Mapping, Optional

from . import hyperparameters
from .contract import Bytes, OutputFacts, Request, Result, SourceFacts
from .core.errors import MissingHyperparameters, SourceNotFound
from .core.gzip import Limits
from .core.prefix import FILES_LIMIT
from .core.repack import Job
from .core.store import Progress, Stages
from .stores import access_for, open_source, open_target, read_whole

if TYPE_CHECKING:
    from .stores.s3 import S3Access


def run(
    request: Request,
    *,
    s3: Optional[S3Access] = None,
    limits: Limits = Limits(),
    progress: Progress = lambda done, total: None,
) -> Result:
    """Carry a request out. Raises the errors of `contract`; then the output is as it was."""
    uris = [request.model_uri, request.output_uri, request.hyperparameters_uri or "", *request.files.values()]
    s3 = access_for(uris, s3)
    return repack(
        request.model_uri,
        request.output_uri,
        gather(request, s3),
        if_present=request.if_present,
        verify=request.verify,
        s3=s3,
        limits=limits,
        progress=progress,
    )


def repack(
    model_uri: str,
    output_uri: str,
    overlay: Mapping[str, bytes],
    *,
    if_present: str = "replace",
    verify: str = "once",
    s3: Optional[S3Access] = None,
    limits: Limits = Limits(),
    progress: Progress = lambda done, total: None,
) -> Result:
    """Write the archive at `model_uri`, with the overlay in it, to `output_uri`; both are paths or s3:// URIs.

    The output holds every entry of the model, unchanged and in order, and exactly one entry for each path of the
    overlay (path → bytes, at most 10 MiB in all). It appears whole or not at all; it may replace the model itself.

        >>> result = repack("model.tar.gz", "out/model.tar.gz", {"hyperparameters.json": b'{"depth": 6}'})
        >>> result.method
        'graft'

    `if_present` says what becomes of an entry that is there already: replace, keep or error. `verify` says when the
    model is scanned in full: once (what this program made and noted so on S3 is believed), always, or never (the mark
    in the archive itself is believed). Raises the errors of `contract`.
    """
    began = time.monotonic()
    s3 = access_for([model_uri, output_uri], s3)
    with closing(open_source(model_uri, s3)) as source, closing(open_target(output_uri, s3)) as target:
        outcome = Job(source, target, overlay, if_present, verify, limits, Stages(progress)).run()
    findings, published = outcome.findings, outcome.published
    held = outcome.content.get(hyperparameters.ENTRY)
    return Result(
        model_uri=model_uri,
        output_uri=output_uri,
        method=outcome.method,
        source=SourceFacts(
            source.etag,
            source.version_id,
            source.size,
            findings.uncompressed_size if findings else None,
            findings.entries if findings else None,
        ),
        output=OutputFacts(published.etag, published.version_id, published.size, published.proof),
        hyperparameters_sha256=hashlib.sha256(held).hexdigest() if held is not None else None,
        bytes=Bytes(outcome.bytes_read, published.uploaded, published.copied),
        seconds=round(time.monotonic() - began, 3),
        warnings=(findings.warnings if findings else ()) + published.warnings,
    )


def gather(request: Request, s3: Optional[S3Access] = None) -> dict[str, bytes]:
    """The overlay that a request asks for. Raises MissingHyperparameters, InvalidHyperparameters, InvalidRequest."""
    overlay = {name: _fetch(uri, s3) for name, uri in request.files.items()}
    if request.hyperparameters_uri is not None:
        given = _fetch(request.hyperparameters_uri, s3)
        overlay[hyperparameters.ENTRY] = hyperparameters.merge(given, request.hyperparameters or {})
    elif request.hyperparameters is not None:
        overlay[hyperparameters.ENTRY] = hyperparameters.serialize(request.hyperparameters)
    if not overlay:
        raise MissingHyperparameters("nothing to put in: give hyperparameters, hyperparameters_uri or files")
    return overlay


def _fetch(uri: str, s3: Optional[S3Access]) -> bytes:
    try:
        return read_whole(uri, FILES_LIMIT, s3)
    except SourceNotFound as error:
        raise MissingHyperparameters(f"{error}; give an existing file to put in") from None
