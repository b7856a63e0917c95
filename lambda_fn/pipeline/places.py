"""What an S3 URI points at, an object or a folder, told by what it ends in; for pipeline variables as far as they say.

The same URI means the same wherever the step runs: a folder is the file of the expected name in it.
"""

from __future__ import annotations

import re
from typing import Any, Literal, Optional

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz")
DOCUMENT_SUFFIXES = (".json",)
SUFFIX = re.compile(r"\.[A-Za-z]\w*$")
"""A file's: `v1.2` has none."""

S3_URI = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/([^\x00-\x1f\x7f]*[^\s\x7f])?)?")

Kind = Literal["object", "folder"]


def is_pipeline_variable(value: Any) -> bool:
    """Whether the value is known only when the pipeline runs. All of SageMaker's variables have an `expr`."""
    return hasattr(value, "expr")


def kind_of(uri: Any, suffixes: tuple[str, ...]) -> Optional[Kind]:
    """What the URI, or the expression, points at; None where only the running pipeline will know.

    A parameter points at what its default does. What a processing job gives is a folder, and so is an execution's own.
    """
    end = _end(uri)
    if isinstance(end, str):
        return "object" if end.lower().endswith(suffixes) else "folder"
    expression = str(getattr(end, "expr", None))
    return "folder" if "ProcessingOutputConfig" in expression or "'Execution." in expression else None


def object_of(uri: Any, name: str, suffixes: tuple[str, ...]) -> Any:
    """The object's own URI: the given one, or that of `name` in it if it is a folder."""
    return below(uri, name) if kind_of(uri, suffixes) == "folder" else uri


def input_of(uri: Any, suffixes: tuple[str, ...]) -> Any:
    """The URI as a job's input, which SageMaker takes for a prefix: a folder's slash keeps `v10` out of `v1`."""
    if is_pipeline_variable(uri) or kind_of(uri, suffixes) == "object":
        return uri
    return uri if uri.endswith("/") else f"{uri}/"


def below(folder: Any, name: str) -> Any:
    """The URI of `name` in a folder, whether or not the folder ends in a slash."""
    if not is_pipeline_variable(folder):
        return f"{folder.rstrip('/')}/{name}"
    end = _end(folder)
    return _join(folder, name, on="" if isinstance(end, str) and end.endswith("/") else "/")


def parent_of(uri: Any, name: str) -> Optional[Any]:
    """The folder of an object called `name`; None if the URI does not end in it."""
    if not is_pipeline_variable(uri):
        return uri[: -len(name) - 1] if uri.endswith(f"/{name}") else None
    on, values = getattr(uri, "on", None), getattr(uri, "values", None)
    if not isinstance(values, list) or values[1:] == [] or (on, values[-1]) not in (("/", name), ("", f"/{name}")):
        return None
    return values[0] if len(values) == 2 else _join(*values[:-1], on=str(on))


def _join(*parts: Any, on: str) -> Any:
    from . import sdk  # only who has a pipeline variable has an SDK for sure

    return sdk.join(*parts, on=on)


def _end(uri: Any) -> Any:
    """What decides: the URI itself, or the last value of an expression that joins several."""
    values = getattr(uri, "values", None)
    while isinstance(values, list) and values:
        uri = values[-1]
        values = getattr(uri, "values", None)
    return getattr(uri, "default_value", uri) if is_pipeline_variable(uri) else str(uri)
