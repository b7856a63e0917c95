"""The inspection: what SageMaker would stumble over in an archive, found while its entries pass by."""

from __future__ import annotations

import json
import posixpath
from typing import Any, Collection, Iterator, Mapping, Optional

from .core.errors import InvalidHyperparameters
from .core.tar import Entry
from .hyperparameters import ENTRY, parse

SYMBOLIC_LINK = b"2"
CODE = "code/"
PROGRAM = "sagemaker_program"
"""The hyperparameter that names the script to run in SageMaker's toolkits, in small letters or capitals."""
SCRIPTS_LIMIT = 10_000
"""Paths below `code/` that are remembered; where there are more, none is missed."""


class Inspection:
    """Sees every entry that stays in an archive, and what is put in; afterwards it knows what to warn of."""

    def __init__(self, put: Collection[str] = (), strip_root: bool = False) -> None:
        """Of an archive as it is, or as it will be with these paths put in, or without the folder at its top."""
        self._put = put
        self._strip_root = strip_root
        self._tops: set[str] = set()
        self._versions = False
        self._nested: Optional[str] = None
        self._scripts: set[str] = set()
        self._leaving = _Several()
        self._outside = _Several()
        self._apple_doubles = _Several()
        self._backslashes = _Several()
        for path in put:
            self._look_at(path)

    def see(self, entry: Entry) -> None:
        """An entry of the archive that stays."""
        path = entry.path.partition("/")[2] if self._strip_root else entry.path
        if not path:
            return
        self._look_at(path)
        parts = path.split("/")
        if len(self._tops) < 2 and path != ENTRY:
            self._tops.add(parts[0] + "/" * (entry.is_directory or len(parts) > 1))
        self._versions = self._versions or any(part.isdigit() for part in parts[:4])
        if path.partition("/")[2] in self._put:
            self._nested = path
        if entry.type == SYMBOLIC_LINK and _leaves(path, entry.link):
            self._leaving.add(f"{path} -> {entry.link}")

    def _look_at(self, path: str) -> None:
        if path.startswith(CODE) and len(self._scripts) <= SCRIPTS_LIMIT:
            self._scripts.add(path[len(CODE) :])
        if path.rpartition("/")[2].startswith("._"):
            self._apple_doubles.add(path)
        if path == ".." or path.startswith("../"):
            self._outside.add(path)
        if "\\" in path:
            self._backslashes.add(path)

    def warnings(self, held: Optional[bytes] = None) -> Iterator[str]:
        """What a person should know, a sentence each; `held` are the hyperparameters that the archive holds."""
        top = next(iter(self._tops), "")
        # TensorFlow and Triton number the versions of their models: there a top folder is where it belongs.
        belongs = self._versions or (self._scripts and not self._nested)
        if len(self._tops) == 1 and top.endswith("/") and not belongs:
            beside = f" ({self._nested}, too, which now has another beside it)" if self._nested else ""
            yield (
                f"everything lies in the folder {top}{beside}, while SageMaker looks at the archive's root; "
                "repack --strip-root takes the folder away"
            )
        if self._leaving.count:
            yield f"{self._leaving} leads out of the archive, and most likely to nothing where it is extracted"
        if self._outside.count:
            yield f"{self._outside} lies outside of where the archive is extracted; readers leave it out, or refuse all"
        if self._apple_doubles.count:
            yield f"{self._apple_doubles} is a leftover of macOS, and no part of the model; --remove '._*' drops it"
        if self._backslashes.count:
            yield f"{self._backslashes} is no file in a folder but one with backslashes in its name, except on Windows"
        if held is not None:
            yield from self._of_hyperparameters(held)

    def _of_hyperparameters(self, held: bytes) -> Iterator[str]:
        try:
            script = _script(parse(held, f"the archive's {ENTRY}"))
        except InvalidHyperparameters as error:
            yield str(error)
            return
        if script and self._scripts and len(self._scripts) <= SCRIPTS_LIMIT and script not in self._scripts:
            yield f"the hyperparameters name the script {script}, but there is no {CODE}{script}"


class _Several:
    """Things of one kind: how many there are, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self._first = ""

    def add(self, name: str) -> None:
        self._first = self._first or name
        self.count += 1

    def __str__(self) -> str:
        return self._first if self.count == 1 else f"each of {self.count:,} entries, such as {self._first},"


def _leaves(path: str, link: str) -> bool:
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    return target == ".." or target.startswith(("/", "../"))


def _script(values: Mapping[str, Any]) -> Optional[str]:
    """The script that the hyperparameters name, relative to `code/`; SageMaker writes its values as JSON in JSON."""
    script = next((value for key, value in values.items() if key.lower() == PROGRAM), None)
    if isinstance(script, str) and script.startswith('"'):
        try:
            script = json.loads(script)
        except ValueError:
            return None
    return posixpath.normpath(script) if isinstance(script, str) and script and not script.startswith("/") else None
