"""The search: what an edit makes of each entry of an archive, looked at once and in order.

What is kept of the entries does not grow with the archive, but for what the edit touches. Whether an entry that is
replaced has to go is not known before all of them were seen: it may hold just what is put in.
"""

from __future__ import annotations

from typing import Collection, Mapping, Optional

from .edit import Content, Edit, Merge, matcher
from .errors import EntryConflict
from .header import Attributes, respelled
from .links import Links
from .names import disputed, normal
from .prefix import Written
from .tar import HARD_LINK, REGULAR, SHARED_RECORDS, SYMBOLIC_LINK, Entry
from .value import Value

NAMES = 100
"""Names of entries that go which are kept, to be shown."""


class Verdict(Value):
    """What becomes of an entry that does not simply stay."""

    gone: bool = False
    """It goes, whatever else there is."""
    name: Optional[str] = None
    """The path put in which it has to make room for, if that is not there already."""
    header: Optional[bytes] = None
    """Its header blocks as they are spelled where it stays."""


STAYS = Verdict()
"""Of almost all entries."""


class Hits:
    """The entries that extracting would write to one path that is put in."""

    def __init__(self) -> None:
        self.count = 0
        self.exact = False
        """Whether the last is spelled just so."""
        self.attributes = Attributes()
        """Of the last that is no link to itself, as are the following."""
        self.file = True
        """Whether it is a plain file, or the directory that is wanted."""
        self.identity: Optional[str] = None
        """SHA-256 of what it holds, where that was looked at."""
        self.content: Optional[bytes] = None
        """What it holds, where that was wanted."""

    @property
    def as_wanted(self) -> bool:
        """Whether there is one entry of the path, and its name is spelled as we would spell it."""
        return self.count == 1 and self.exact

    def hold(self, content: Content) -> bool:
        """Whether that one entry has this content and mode already, so that it can stay."""
        mode = self.attributes.mode & 0o7777
        return self.as_wanted and self.identity == content.identity and content.mode in (None, mode)


class Shared:
    """A pax record shared by all that follow, which has nothing to speak for if all of these go."""

    def __init__(self, number: int) -> None:
        self.number = number
        """Of its touch."""
        self.gone = False
        """Whether an entry after it goes for certain."""
        self.names: set[str] = set()
        """Paths put in that entries after it have to make room for."""


class Search:
    """Sees every entry once. Raises EntryConflict, at the end, for what cannot be had in this archive."""

    def __init__(self, edit: Edit, ours: Mapping[str, Written]) -> None:
        self.edit = edit
        self.hits: dict[str, Hits] = {}
        self.root: Optional[str] = None
        """The folder at the top that is stripped."""
        self.warnings: list[str] = []
        self.left = 0
        """Entries that stay, or make room for what is put in."""
        self.removed = 0
        self.names: list[str] = []
        """Of the first entries that go for certain."""
        self.carried = dict(ours)
        """Our own entries, in front, that stay if they are not replaced."""
        self.obstacles: dict[str, str] = {}
        """Path put in → what stands in its way."""
        self._conflict: Optional[str] = None
        self._patterns = [matcher(pattern) for pattern in edit.drop]
        self._matched: set[int] = set()
        self._above = {
            name[:at]: name for name in (*edit.put, *edit.folders) for at in range(len(name)) if name[at] == "/"
        }
        self._folded = {_folded(name): name for name in edit.put}
        self._links = Links()
        for name, written in ours.items():
            self._see_ours(name, written)

    def see(self, entry: Entry) -> Verdict:
        """What becomes of an entry behind our own ones."""
        verdict = self._judged(entry)
        self.left += not verdict.gone and entry.type != SHARED_RECORDS
        return verdict

    def _judged(self, entry: Entry) -> Verdict:
        path, header = entry.path, None
        if not path or entry.type == SHARED_RECORDS:
            return STAYS
        if self.edit.strip_root and not self._exempt(path, entry.is_directory):
            inner = self._inside(path)
            if inner is None:
                return Verdict(gone=True) if entry.is_directory else self._refuse(f"{path} is no folder at its top")
            path, header = inner, respelled(entry, self._stripped)
            self._check_links(entry, path)
        if self.goes(path, entry.is_directory) and not self._replaced(path, entry.is_directory):
            self._count(path)
            return Verdict(gone=True)
        if path in self.edit.put and entry.is_directory == self.edit.put[path].directory:
            name = path if self._hit(path, entry) else None
            return Verdict(name=name, header=header) if name or header else STAYS
        self._see_other_paths(entry, path)
        self._stays(path, entry.is_directory, f"the archive holds {path}")
        if entry.type == HARD_LINK:
            self._check_target(path, self._stripped(normal(entry.link)))
        elif entry.type == SYMBOLIC_LINK and not entry.link.startswith("/"):
            target = normal(f"{path.rpartition('/')[0]}/{entry.link}")
            if self.goes(target, directory=True) or self.goes(target, directory=False):
                self._warn(f"{path} is a symbolic link to {target}, which goes; it leads nowhere then")
        return Verdict(header=header) if header else STAYS

    def goes(self, path: str, directory: bool) -> bool:
        """Whether the edit takes out an entry of this path, whatever is put in."""
        found = path + "/" * directory
        for number, pattern in enumerate(self._patterns):
            if pattern.match(found):
                self._matched.add(number)
                return True
        if path in self.edit.folders:
            return not directory
        return bool(self.edit.folders) and any(path[:at] in self.edit.folders for at in _slashes(path))

    def _replaced(self, path: str, directory: bool) -> bool:
        """Whether what goes is put in again, so that it may as well stay if it holds just that."""
        content = self.edit.put.get(path) if self.edit.if_present == "replace" else None
        return content is not None and content.directory == directory and not isinstance(content, Merge)

    def finish(self) -> None:
        """All entries were seen. Raises EntryConflict."""
        if self.edit.strip_root and self.root is None:
            self._refuse("it has no folder at its top, but for what goes or is replaced")
        if self._conflict:
            raise EntryConflict(self._conflict)
        for number, pattern in enumerate(self.edit.drop):
            if number not in self._matched:
                self.warnings.append(f"nothing in the archive matches {pattern}, which was to be removed")

    def check(self, changed: Collection[str]) -> None:
        """Raises EntryConflict if something stands in the way of one of the paths that are put in."""
        for name in changed:
            if name in self.obstacles:
                raise EntryConflict(f"cannot put in {name}: {self.obstacles[name]}; take it out of the model first")

    def _see_ours(self, name: str, written: Written) -> None:
        if self.goes(name, written.directory) and not self._replaced(name, written.directory):
            self._count(name)
            del self.carried[name]
        elif self.edit.strip_root and name not in self.edit.put:
            self._refuse(f"{name} lies at its top, where an earlier repack put it; put it in once more in this one")
        elif name not in self.edit.put or written.directory != self.edit.put[name].directory:
            self._stays(name, written.directory, f"an earlier repack put {name} into the archive")

    def _hit(self, path: str, entry: Entry) -> bool:
        """Whether this entry may have to make room for what is put in."""
        hits = self.hits.setdefault(path, Hits())
        hits.count += 1
        if entry.type == HARD_LINK and self._stripped(normal(entry.link)) == path and hits.count > 1:
            return True  # GNU tar was given the file twice
        doubted = disputed(path, map(self._stripped, entry.readings), self.edit.put.__contains__)
        hits.exact = self._stripped(entry.name).rstrip("/") == path and doubted is None
        hits.file = entry.is_directory or (entry.type in REGULAR and not entry.sparse)
        hits.attributes = Attributes(entry.mode & 0o7777, 0, entry.uid, entry.gid, entry.uname, entry.gname)
        hits.identity = "directory" if entry.is_directory else None
        hits.content = None
        return not entry.is_directory

    def _stays(self, path: str, directory: bool, what: str) -> None:
        """Note what an entry stands in the way of."""
        if path in self.edit.put:
            self.obstacles.setdefault(path, f"{what}, which is {'a' if directory else 'no'} directory")
        elif path in self._above and not directory:
            self.obstacles.setdefault(self._above[path], f"{what}, which is no directory")
        for at in _slashes(path):
            above = self.edit.put.get(path[:at])
            if above and not above.directory:
                self.obstacles.setdefault(path[:at], f"{what}, below it")
        other = self._folded.get(_folded(path)) if self._folded else None
        if other is not None and other != path:
            self._warn(f"{what}, which disks that fold case or Unicode forms would merge with {other}")

    def _check_target(self, path: str, target: str) -> None:
        """A hard link that stays, while what it links to goes or changes, would be broken or change, too."""
        if self.goes(target, directory=False):
            self._conflict = self._conflict or f"{path} is a hard link to {target}, which goes; remove both or neither"
        elif target in self.edit.put:
            self.obstacles.setdefault(target, f"{path} is a hard link to {target} and its content would change too")

    def _see_other_paths(self, entry: Entry, path: str) -> None:
        """Some readers write to a path that is put in where others do not: nobody could tell what is there then."""
        readings = map(self._stripped, entry.readings) if self.edit.strip_root else entry.readings
        name = disputed(path, readings, self.edit.put.__contains__)
        if name is not None:
            self.obstacles.setdefault(name, f"some readers write {entry.name!r} there, and others do not")
        through = self._links.leads(entry, self.edit.put)
        if through is not None:
            self.obstacles.setdefault(through, f"{path} lies behind a symbolic link that may lead there")
        self._links.see(entry)

    # --- The root that is stripped ---

    def _exempt(self, path: str, directory: bool) -> bool:
        """Whether an entry beside the root does not count, since it goes or is replaced under the name that it has."""
        top = path.partition("/")[0]
        if top == path:
            return path in self.edit.put or self.goes(path, directory)
        return self.goes(top, directory=True) or (self.root not in (None, top) and path in self.edit.put)

    def _inside(self, path: str) -> Optional[str]:
        """The path below the root, None for the root itself."""
        top, _, inner = path.partition("/")
        self.root = self.root or top
        if top != self.root:
            self._refuse(f"it has more than one entry at its top, {self.root} and {top}")
        return inner or None

    def _stripped(self, name: str) -> str:
        if not self.edit.strip_root or self.root is None:
            return name
        path = normal(name)
        inner = path[len(self.root) + 1 :] if path.startswith(self.root + "/") else path
        return inner + "/" if name.endswith("/") and inner else inner

    def _check_links(self, entry: Entry, path: str) -> None:
        if entry.type == HARD_LINK and not normal(entry.link).startswith(f"{self.root}/"):
            self._refuse(f"{path} is a hard link to {entry.link}, which lies outside of {self.root}")
        if entry.type == SYMBOLIC_LINK and not entry.link.startswith("/"):
            folder = entry.path.rpartition("/")[0]
            if not f"{normal(f'{folder}/{entry.link}')}/".startswith(f"{self.root}/"):
                self._refuse(f"{path} is a symbolic link to {entry.link}, which lies outside of {self.root}")

    def _refuse(self, why: str) -> Verdict:
        self._conflict = self._conflict or f"the root cannot be stripped: {why}"
        return STAYS

    # --- What is told ---

    def _warn(self, sentence: str) -> None:
        if len(self.warnings) < NAMES:
            self.warnings.append(sentence)

    def _count(self, path: str) -> None:
        self.removed += 1
        if len(self.names) < NAMES:
            self.names.append(path)


def _slashes(path: str) -> list[int]:
    return [at for at, char in enumerate(path) if char == "/"] if "/" in path else []


def _folded(path: str) -> str:
    """What a disk that ignores case, or keeps one Unicode normal form, makes of a path."""
    if path.isascii():
        return path.lower()
    import unicodedata  # few archives need its tables

    return unicodedata.normalize("NFC", path).casefold()
