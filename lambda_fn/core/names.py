"""Names in an archive: the path that a name means, and the other paths that some reader takes it for.

Readers differ where a name is not plain. For `a/b/../x` the system writes `a/x` and GNU tar, which cuts off everything
up to the last `..`, writes `x`. A backslash separates folders for those who extract on Windows. node-tar and bsdtar
drop a drive letter. What any of them would write counts: a wanted path must not be there twice for anyone.
"""

from __future__ import annotations

import posixpath
import re
from typing import Callable, Iterable, Iterator, Optional

_ROOTS = r"(?:[/\\]+(?:[?.](?=[/\\]))?|[A-Za-z]:)+"
"""What is cut off the front of a name, so that it lies below the folder extracted to: `/`, `C:`, `\\\\?\\`."""
_ODD = re.compile(r"\.\.|\\|^/*[A-Za-z]:|^//[?.]/")
"""What a name has that not all readers take alike."""


def normal(name: str) -> str:
    """The path that extracting an entry of this name writes to, relative to the root; the root is empty."""
    path = posixpath.normpath(name.lstrip("/"))
    return "" if path == "." else path


def readings(name: str) -> Iterator[str]:
    """Every path that some reader writes to for this name, `normal(name)` first."""
    yield normal(name)
    if _ODD.search(name):
        for spelled in {name, name.replace("\\", "/")}:
            rootless = spelled[root.end() :] if (root := re.match(_ROOTS, spelled)) else spelled
            parts = rootless.split("/")
            yield normal(rootless)
            yield normal("/".join(part for part in parts if part != ".."))
            if ".." in parts:
                yield normal("/".join(parts[len(parts) - parts[::-1].index("..") :]))


def disputed(path: str, others: Iterable[str], wanted: Callable[[str], bool]) -> Optional[str]:
    """The wanted path that only some readers write to, None if there is none.

    `path` is where we say that an entry goes, `others` are all its readings. Where a header has no room for the path,
    honest writers put something like it there and the path into an extended header, so another reading next to a
    wanted path counts only where that path would have fitted.
    """
    if wanted(path):
        fits = path.isascii() and len(path) <= 100
        return path if fits and not all(map(wanted, others)) else None
    return next(filter(wanted, others), None)
