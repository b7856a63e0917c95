"""A Request as a deployment takes it: from S3 to S3, never to or from the machine that happens to carry it out."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from .contract import InvalidRequest, Request

PARENT = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"
"""What a state machine adds to the input of one that it starts, so that the console links the two: nothing to us."""


def request(document: Any) -> Request:
    """Raises InvalidRequest for what is no request, and for a URI that is not s3://bucket/key."""
    if isinstance(document, Mapping):
        document = {name: value for name, value in document.items() if name != PARENT}
    wanted = Request.from_json(document)
    for name, uri in _uris(wanted):
        if not uri.startswith("s3://"):
            raise InvalidRequest(f"{name} is {uri!r}; a deployment reads and writes s3://bucket/key only")
    return wanted


def _uris(wanted: Request) -> Iterator[tuple[str, str]]:
    """Every URI of the request with the name it stands under: fields that end in _uri, and maps of names to URIs."""
    for field, value in wanted.to_json().items():
        if field.endswith("_uri"):
            yield field, value
        elif field in ("files", "folders"):
            yield from ((f"{field}[{name!r}]", uri) for name, uri in value.items())
