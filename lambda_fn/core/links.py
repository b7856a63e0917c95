"""Symbolic links through which an entry comes to lie elsewhere than its name says.

Who extracts `current -> .` and then `current/a` writes to `a`; and who opens what is there for writing, as Python's
tarfile does, writes a file that takes a link's place to where the link points. Honest packers follow no links, so they
put nothing below one. Whoever does may mean a path that our edit puts in: the links are remembered, and followed.
"""

from __future__ import annotations

from collections import deque
from typing import Collection, Iterator, Optional

from .tar import HARD_LINK, SYMBOLIC_LINK, Entry

REMEMBERED = 16 << 20
"""Bytes of memory that the links may take."""
OVERHEAD = 300
"""Bytes that Python needs for each, besides its two strings."""
FOLLOWED = 40
"""Links that are followed for one path: as many as Linux does."""
DEPTH = 255
"""Folders of a path that is followed."""


class Links:
    """The symbolic links seen so far, in memory that does not grow with the archive."""

    def __init__(self) -> None:
        self._targets: dict[str, str] = {}
        self._held = 0
        self._forgotten = False

    def see(self, entry: Entry) -> None:
        """Remember the entry if it is a symbolic link."""
        if entry.type == SYMBOLIC_LINK:
            size = len(entry.path) + len(entry.link) + OVERHEAD
            if self._held + size > REMEMBERED:
                self._forgotten = True
            else:
                self._held += size
                self._targets[entry.path] = entry.link

    def leads(self, entry: Entry, wanted: Collection[str]) -> Optional[str]:
        """The wanted path that extracting `entry` writes to through links before it; None if there is none.

        Where that cannot be known, since a link leads out of the archive or there were too many, a wanted path with the
        same last name is taken for it. A hard link counts as writing to its target, too.
        """
        if not self._targets:
            return None
        for path in entry.readings | (entry.targets if entry.type == HARD_LINK else frozenset()):
            for real in self._real(path, entry):
                if real in wanted and real != path:
                    return real
                if real is None:
                    name = path.rpartition("/")[2]
                    alike = (one for one in wanted if one != path and one.rpartition("/")[2] == name)
                    if (found := next(alike, None)) is not None:
                        return found
        return None

    def _real(self, path: str, entry: Entry) -> Iterator[Optional[str]]:
        """Where writing to `path` may end, None for anywhere."""
        yield None if self._forgotten else self._followed(path)
        if path in self._targets and entry.type != SYMBOLIC_LINK:
            yield self._followed(f"{path}/.")

    def _followed(self, path: str) -> Optional[str]:
        """The path with the links among its folders replaced, None if they lead out of the archive or nowhere."""
        if path.count("/") > DEPTH:
            return None
        parts, folders, followed = deque(path.split("/")), list[str](), 0
        while parts:
            part = parts.popleft()
            if part == ".." and folders:
                folders.pop()
            elif part == "..":
                return None
            elif part not in ("", "."):
                folders.append(part)
                target = self._targets.get("/".join(folders)) if parts else None
                if target is not None:
                    followed += 1
                    if followed > FOLLOWED or target.startswith("/"):
                        return None
                    folders.pop()
                    parts.extendleft(reversed(target.split("/")))
        return "/".join(folders)
