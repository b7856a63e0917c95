"""What the scan looks for: every spelling of the wanted names, and whatever would stand in their way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Mapping, Optional

from .errors import EntryConflict, EntryExists
from .gzip import Recent
from .prefix import FILES_LIMIT
from .tar import HARD_LINK, Entry, normal

SPLICED = 8
"""Entries that a splice may take out: for each, the scan keeps the 2 MiB before it."""


@dataclass
class Hits:
    """The entries that extracting would write to one wanted path."""

    count: int
    last: Entry
    content: Optional[bytes] = None
    """Of the last, None if it is no plain file or all that is held would have more than FILES_LIMIT bytes."""

    def are(self, name: str) -> bool:
        """Whether there is one entry, spelled just so."""
        return self.count == 1 and self.last.name == name


@dataclass(frozen=True)
class Spot:
    """Where a hit lies, for a splice."""

    entry: Entry
    recent: tuple[Recent, ...]
    """What the scan had decoded when it came to the entry."""


@dataclass(frozen=True)
class Change:
    """What must become of an archive."""

    files: Mapping[str, bytes]
    """To put in front."""
    removed: frozenset[str]
    """Paths whose entries must go."""


class Search:
    """Looks at each entry once and keeps what `change` needs, in memory that does not grow with the archive."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)
        self.hits: dict[str, Hits] = {}
        self.spots: list[Spot] = []
        """Of the first SPLICED hits."""
        self._obstacles: dict[str, str] = {}
        self._above = {name[:at]: name for name in self.names for at, char in enumerate(name) if char == "/"}
        self._below = tuple(name + "/" for name in self.names)

    @property
    def held(self) -> int:
        """Bytes of content that are kept."""
        return sum(len(hits.content) for hits in self.hits.values() if hits.content)

    def see(self, entry: Entry, recent: Iterable[Recent] = ()) -> Optional[Hits]:
        """The hits that `entry`, before which came `recent`, is the last of; None if it is no hit."""
        path = entry.path
        if path in self.names and not entry.is_directory:
            count = self.hits[path].count if path in self.hits else 0
            self.hits[path] = Hits(count + 1, entry)
            if len(self.spots) < SPLICED:
                self.spots.append(Spot(entry, tuple(recent)))
            return self.hits[path]
        if path in self.names:
            self._obstacles.setdefault(path, f"the archive holds a directory called {path}")
        elif path in self._above and not entry.is_directory:
            self._obstacles.setdefault(self._above[path], f"{path} is no directory in the archive")
        elif path.startswith(self._below):
            name = next(name for name in self.names if path.startswith(name + "/"))
            self._obstacles.setdefault(name, f"the archive holds {path}, below it")
        elif entry.type == HARD_LINK and (target := normal(entry.link)) in self.names:
            self._obstacles.setdefault(target, f"{path} is a hard link to {target} and its content would change too")
        return None

    def change(self, overlay: Mapping[str, bytes], if_present: str, prefix: Mapping[str, bytes]) -> Change:
        """What must change so that the archive, which begins with `prefix`, holds the overlay.

        Raises EntryExists, EntryConflict.
        """
        files: dict[str, bytes] = {}
        removed = set()
        for name, data in overlay.items():
            hits = self.hits.get(name)
            if if_present == "error" and (hits or name in prefix):
                raise EntryExists(f"the archive already holds {name}; say if_present=replace to replace it")
            if hits is None:
                if (name in prefix and if_present == "keep") or prefix.get(name) == data:
                    continue
            elif name not in prefix and hits.are(name) and (if_present == "keep" or hits.content == data):
                continue
            if name in self._obstacles:
                raise EntryConflict(f"cannot put in {name}: {self._obstacles[name]}; take it out of the model first")
            files[name] = _kept(hits) if hits and if_present == "keep" else data
            if hits:
                removed.add(name)
        return Change(files, frozenset(removed))


def _kept(hits: Hits) -> bytes:
    """The content that extracting leaves: the last entry's."""
    if hits.content is None:
        raise EntryConflict(f"cannot keep {hits.last.name}: it is no plain file of at most {FILES_LIMIT} bytes")
    return hits.content
