"""The edit: what is wanted of an archive, as a value.

An edit speaks of paths in the output and knows nothing of tar, gzip or deflate. Its parts work in this order: the root
is stripped, entries that match `drop` or lie in one of `folders` go, and what is `put` goes in. Adding hyperparameters
is the smallest edit: `Edit({"hyperparameters.json": Content.of(data)})`.
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import Any, Callable, Iterator, Literal, Mapping, Optional, get_args

from .digest import hexadecimal
from .errors import InvalidRequest
from .tar import normal
from .value import Value

IfPresent = Literal["replace", "keep", "error"]

NAME_LIMIT = 4096
"""Bytes of a path; Linux takes no longer ones, so nobody could extract them."""


class Content(Value):
    """What an entry shall hold: a file's bytes, or a directory."""

    size: int
    """Bytes."""
    open: Callable[[], Iterator[bytes]]
    """Gives the bytes in chunks, from the beginning at each call. Raises SourceChanged if they are others by now."""
    identify: Callable[[], str]
    """What `identity` is, which may take as long as reading all."""
    mode: Optional[int] = None
    """Permission bits; None takes those of the entry that is replaced, else 0644, of a directory 0755."""
    directory: bool = False

    @cached_property
    def identity(self) -> str:
        """The same for the same bytes only: their SHA-256, or what a store says of this version of an object."""
        return self.identify()

    @classmethod
    def of(cls, data: bytes, mode: Optional[int] = None) -> Content:
        """A file that holds `data`."""
        return cls(len(data), lambda: iter((data,)), lambda: hexadecimal(data), mode)

    @classmethod
    def empty_directory(cls, mode: Optional[int] = None) -> Content:
        """A directory with nothing in it."""
        return cls(0, lambda: iter(()), lambda: "directory", mode, directory=True)


class Merge(Content):
    """What an entry shall hold, as it follows from what it holds already."""

    settle: Callable[[Optional[bytes]], bytes] = lambda held: held or b""
    """From what the archive holds under this path, None if nothing, to what it shall hold."""

    @classmethod
    def by(cls, settle: Callable[[Optional[bytes]], bytes]) -> Merge:
        return cls(-1, lambda: iter(()), lambda: "", settle=settle)

    def settled(self, held: Optional[bytes]) -> Content:
        """The content, now that what the archive holds is known."""
        return Content.of(self.settle(held), self.mode)


class Edit(Value):
    """What an archive shall hold afterwards. Raises InvalidRequest for what no archive can hold."""

    put: Mapping[str, Content] = {}
    """Path → what it holds afterwards, as the only entry of that path. A path is spelled like `code/inference.py`."""
    drop: tuple[str, ...] = ()
    """Patterns of entries to take out, see `matcher`."""
    folders: frozenset[str] = frozenset()
    """Paths below which afterwards lies only what is put there."""
    strip_root: bool = False
    """Whether the one folder at the top that holds everything else is taken away."""
    if_present: IfPresent = "replace"
    """What becomes of an entry that is there already, and not dropped: it is replaced, it stays, or it is an error."""

    mtime: Optional[int] = None
    """Seconds since 1970 that what is put in is dated to; None takes those of the archive's first entry."""

    def __post_init__(self) -> None:
        if self.if_present not in get_args(IfPresent):
            raise InvalidRequest(f"if_present must be replace, keep or error, not {self.if_present!r}")
        for name in (*self.put, *self.folders):
            check_name(name)
        for name in (*self.put, *self.folders):
            for at in range(len(name)):
                above = self.put.get(name[:at]) if name[at] == "/" else None
                if above and not above.directory:
                    raise InvalidRequest(f"{name[:at]} cannot be a file and hold {name}")
        for name in self.folders & self.put.keys():
            if not self.put[name].directory:
                raise InvalidRequest(f"{name} cannot be a file and a folder to replace")
        for pattern in self.drop:
            matcher(pattern)

    @property
    def settled(self) -> bool:
        """Whether it is known what is put in, whatever the archive holds."""
        return not any(isinstance(content, Merge) for content in self.put.values())

    @property
    def digest(self) -> str:
        """The same for edits that differ at most in what is put under the same names."""
        wanted: list[Any] = [self.if_present, *sorted(self.put)]
        if self.drop or self.folders or self.strip_root:
            wanted.append({"drop": self.drop, "folders": sorted(self.folders), "strip_root": self.strip_root})
        if self.mtime is not None:
            wanted.append({"mtime": self.mtime})
        return hexadecimal(json.dumps(wanted).encode())


def check_name(name: str) -> None:
    """Raises InvalidRequest unless `name` is a path that lies inside the archive, spelled as readers will see it."""
    try:
        encoded = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        encoded = b""
    if not encoded or "\0" in name or name != normal(name) or name == ".." or name.startswith("../"):
        raise InvalidRequest(f"{name!r} cannot be a name in the archive; write it like code/inference.py")
    if encoded.decode("utf-8", "surrogateescape") != name:  # what is there under this name would not be found
        raise InvalidRequest(f"{name!r} is UTF-8 that was read as something else; set PYTHONUTF8=1 and try again")
    if len(encoded) > NAME_LIMIT:
        raise InvalidRequest(f"{name[:60]!r}… has more than the {NAME_LIMIT} bytes that a path may have")


def matcher(pattern: str) -> re.Pattern[str]:
    """What matches the paths that `pattern` takes out, those of directories with a slash behind them.

    A pattern is like a line of a .gitignore file: without a slash before its end it matches at any depth, with one from
    the root; `*` and `?` do not cross a slash, `**` does where it stands for whole parts of a path; `[a-z]` is one of
    these; a backslash takes the next character as it stands; a slash at the end asks for a directory. With a directory
    goes all that is below it.

        >>> [bool(matcher("checkpoint-*").match(path)) for path in ("checkpoint-1/", "a/checkpoint-1/b", "checkpoint")]
        [True, True, False]

    Raises InvalidRequest.
    """
    path = pattern.rstrip("/")
    anchored = "/" in path
    if not path.strip("/") or pattern.startswith("!") or any(part in (".", "..") for part in path.split("/")):
        raise InvalidRequest(
            f"{pattern!r} is no pattern of entries to remove; write one like a line of .gitignore, without ! and .."
        )
    found = "" if anchored else "(?:.*/)?"
    at, path = 0, path.lstrip("/")
    while at < len(path):
        if path.startswith("**/", at) and (at == 0 or path[at - 1] == "/"):
            found, at = found + "(?:.*/)?", at + 3
        elif path[at:] == "**" and path[:at].endswith("/"):
            found, at = found + ".+", at + 2
        elif path[at] == "*":
            found, at = found + "[^/]*", at + 1
        elif path[at] == "?":
            found, at = found + "[^/]", at + 1
        elif path[at] == "[" and (end := path.find("]", at + 2)) > 0:
            inside = path[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            inside = "^" + inside[1:] if inside[0] in "!^" else inside
            found, at = f"{found}(?!/)[{inside}]", end + 1
        else:
            at += path[at] == "\\" and at + 1 < len(path)
            found, at = found + re.escape(path[at]), at + 1
    try:
        return re.compile(found + ("/" if pattern.endswith("/") else "(?:/|\\Z)"), re.DOTALL)
    except re.error as error:
        raise InvalidRequest(f"{pattern!r} is no pattern of entries to remove: {error}") from None
