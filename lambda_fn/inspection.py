"""The inspection: what SageMaker would stumble over in an archive, found while its entries pass by."""

from __future__ import annotations

import json
import posixpath
from typing import Iterator, Optional

from .core.errors import InvalidHyperparameters
from .core.tar import HARD_LINK, SHARED_RECORDS, Entry, normal
from .hyperparameters import ENTRY, parse
from .listing import fields

SYMBOLIC_LINK = b"2"
CODE = "code/"
PROGRAM = "sagemaker_program"
"""The hyperparameter that names the script to run in SageMaker's toolkits, in small letters or capitals."""
SCRIPTS_LIMIT = 10_000
"""Paths below `code/` that are remembered; where there are more, none is missed."""
SHOWN_LIMIT = 64 << 10
"""Bytes of hyperparameters that are shown."""


class Inspection:
    """Sees every entry once. Afterwards it knows what to warn of, and what there is of hyperparameters."""

    def __init__(self) -> None:
        self._tops: set[str] = set()
        self._versions = False
        self._scripts: set[str] = set()
        self._leaving = _Several()
        self._apple_doubles = _Several()
        self._count = 0
        self._last: Optional[Entry] = None
        """Of the hyperparameters: how many entries there are, and which one extraction leaves."""

    def see(self, entry: Entry) -> None:
        """Look at one entry."""
        path = entry.path
        if entry.type == SHARED_RECORDS or not path:
            return
        parts = path.split("/")
        if len(self._tops) < 2:
            self._tops.add(parts[0] + "/" * (entry.is_directory or len(parts) > 1))
        self._versions = self._versions or any(part.isdigit() for part in parts[:4])
        if path.startswith(CODE) and len(self._scripts) <= SCRIPTS_LIMIT:
            self._scripts.add(path[len(CODE) :])
        if entry.type == SYMBOLIC_LINK and _leaves(path, entry.link):
            self._leaving.add(f"{path} -> {entry.link}")
        if parts[-1].startswith("._"):
            self._apple_doubles.add(path)
        if path == ENTRY:
            self._count += 1
            given_twice = entry.type == HARD_LINK and normal(entry.link) == path  # which is how GNU tar packs it then
            self._last = self._last if given_twice and self._last else entry

    def warnings(self, held: Optional[bytes] = None) -> Iterator[str]:
        """What a person should know, a sentence each; `held` are the hyperparameters that the archive holds."""
        top = next(iter(self._tops), "")
        # TensorFlow and Triton number the versions of their models: there a top folder is where it belongs.
        if len(self._tops) == 1 and top.endswith("/") and top != CODE and not self._versions:
            yield (
                f"everything lies in the folder {top}, while SageMaker looks for code/ and the model at the root; "
                "repack --strip-root takes the folder away"
            )
        if self._leaving.count:
            yield f"{self._leaving} leads out of the archive, and most likely to nothing where it is extracted"
        if self._apple_doubles.count:
            yield f"{self._apple_doubles} is a leftover of macOS that some loaders choke on; --remove '._*' takes it out"
        script = _script(held) if held is not None else None
        if script and self._scripts and len(self._scripts) <= SCRIPTS_LIMIT and script not in self._scripts:
            yield f"the hyperparameters name the script {script}, but there is no {CODE}{script}"

    def hyperparameters(self, held: Optional[bytes]) -> tuple[str, Optional[str]]:
        """What there is of them, in a few words, and their text where it can be shown."""
        if self._last is None:
            return "none", None
        words = [f"{self._count} entries, the last counts"] if self._count > 1 else []
        shown = fields(self._last)
        if shown["type"] != "file":
            words.append(f"a {shown['type']}" + (f" to {self._last.link}" if self._last.link else ""))
        elif held is None or len(held) > SHOWN_LIMIT:
            words.append(f"{shown['size']:,} bytes, not shown")
        else:
            return ", ".join(words), held.decode("utf-8", "backslashreplace")
        return ", ".join(words), None


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


def _script(held: bytes) -> Optional[str]:
    """The script that the hyperparameters name, relative to `code/`; SageMaker writes its values as JSON in JSON."""
    try:
        values = parse(held)
    except InvalidHyperparameters:
        return None
    script = next((value for key, value in values.items() if key.lower() == PROGRAM), None)
    if isinstance(script, str) and script.startswith('"'):
        try:
            script = json.loads(script)
        except ValueError:
            return None
    return posixpath.normpath(script) if isinstance(script, str) and script and not script.startswith("/") else None
