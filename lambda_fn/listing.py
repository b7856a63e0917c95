"""Entries as people and programs see them: a line like one of `tar -tv`, or a JSON object."""

from __future__ import annotations

import stat
import time
from typing import TYPE_CHECKING, Any, Optional

from .core.names import normal

if TYPE_CHECKING:
    from .core.tar import Entry

HARD_LINK, DIRECTORY = b"1", b"5"
KINDS = {
    HARD_LINK: ("hard link", stat.S_IFREG),
    b"2": ("symbolic link", stat.S_IFLNK),
    b"3": ("character device", stat.S_IFCHR),
    b"4": ("block device", stat.S_IFBLK),
    DIRECTORY: ("directory", stat.S_IFDIR),
    b"6": ("fifo", stat.S_IFIFO),
}
ARROWS = {"symbolic link": " -> ", "hard link": " link to "}
SHOWN_LIMIT = 64 << 10
"""Bytes of one file that are shown."""


def line(entry: Entry) -> str:
    """An entry as `tar -tv` shows it, control characters escaped."""
    shown = fields(entry)
    link = ARROWS[shown["type"]] + shown["link"] if shown["type"] in ARROWS and "link" in shown else ""
    return escaped(f"{shown['mode']} {shown['size']:>15,} {shown['mtime']} {shown['name']}{link}")


def fields(entry: Entry) -> dict[str, Any]:
    """An entry as JSON."""
    kind, bits = KINDS.get(DIRECTORY if entry.is_directory else entry.type, ("file", stat.S_IFREG))
    shown = {
        "name": entry.name,
        "type": kind,
        "mode": stat.filemode(entry.mode & 0o7777 | bits),
        "size": entry.size,
        "mtime": moment(entry.mtime),
    }
    return {**shown, "link": entry.link} if entry.link else shown


def moment(seconds: float) -> str:
    """A time in UTC as ISO 8601, the bare seconds where the calendar ends."""
    try:
        when = time.gmtime(int(seconds))
    except (ValueError, OverflowError, OSError):
        return str(seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", when) if 1 <= when.tm_year <= 9999 else str(seconds)


def escaped(text: str, keep: str = "") -> str:
    """The text without control characters, which could fool a terminal; those in `keep` stay."""
    return "".join(char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in text)


class File:
    """The entries of one path, of which extraction leaves the last."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._count = 0
        self._last: Optional[Entry] = None

    def see(self, entry: Entry) -> None:
        """An entry of the archive."""
        if entry.path != self._path:
            return
        self._count += 1
        given_twice = entry.type == HARD_LINK and normal(entry.link) == self._path  # so GNU tar packs it then
        self._last = self._last if given_twice and self._last else entry

    def described(self, held: Optional[bytes]) -> tuple[str, Optional[str]]:
        """What there is beside one small file, in a few words, and its text where it can be shown.

        `held` is what the last entry holds.
        """
        if self._last is None:
            return "none", None
        shown, text = fields(self._last), None
        words = [f"{self._count} entries, the last counts"] if self._count > 1 else []
        if shown["type"] != "file":
            words.append(f"a {shown['type']}" + (f" to {self._last.link}" if self._last.link else ""))
        elif held is None or len(held) > SHOWN_LIMIT:
            words.append(f"{shown['size']:,} bytes, not shown")
        else:
            text = held.decode("utf-8", "backslashreplace")
        return ", ".join(words), text
