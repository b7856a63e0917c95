"""Entries as people and programs see them: a line like one of `tar -tv`, or a JSON object."""

from __future__ import annotations

import stat
import time
from typing import Any

from .core.tar import Entry

DIRECTORY = b"5"
KINDS = {
    b"1": ("hard link", stat.S_IFREG),
    b"2": ("symbolic link", stat.S_IFLNK),
    b"3": ("character device", stat.S_IFCHR),
    b"4": ("block device", stat.S_IFBLK),
    DIRECTORY: ("directory", stat.S_IFDIR),
    b"6": ("fifo", stat.S_IFIFO),
}
ARROWS = {"symbolic link": " -> ", "hard link": " link to "}


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
