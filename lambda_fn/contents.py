"""What callers give, paths and s3:// URIs of files and folders, as the contents of entries.

A file of any size is read when it is written into the archive, in chunks; small ones are read at once. A folder may
lie on the local disk, in S3 (`s3://bucket/prefix/`), or in a .tar.gz in either place, as SageMaker's sourcedir.tar.gz
is. What cannot be put in as it was meant is an error that names it, and what is left out is counted.
"""

from __future__ import annotations

import os
import posixpath
import stat
from contextlib import closing, contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Iterator, Mapping, Optional

from .core.digest import sha256
from .core.edit import Content
from .core.errors import InvalidRequest, SourceChanged, SourceNotFound, of_archive
from .core.gzip import Reader
from .core.tar import HARD_LINK, REGULAR, Stream, entries, normal
from .stores import access_for, local_path, open_source
from .stores.local import LocalSource, named_errors

if TYPE_CHECKING:
    from .stores.s3 import S3Access
    from .stores.s3.listing import Listed

SMALL = 1 << 20
"""Bytes that a file may have to be read at once."""
HELD = 16 << 20
"""Bytes of small files that are read at once in all; the others are read when they are written."""
UNPACKED_LIMIT = 64 << 20
"""Bytes that the files in a .tar.gz given as a folder may have: they are held in memory."""
FILES_LIMIT = 10_000
"""Files in one folder: more are most likely another folder than the one that was meant."""
FETCHED_AT_ONCE = 8

JUNK = (
    *(".git", ".hg", ".svn"),
    *("__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints"),
    *(".DS_Store", "._*"),
)
"""What version control, Python, its tools, notebooks and macOS leave in folders, and nobody wants in a model."""
ARCHIVES = (".tar.gz", ".tgz")
SYMBOLIC_LINK = b"2"


class Room:
    """How much may still be read at once."""

    def __init__(self) -> None:
        self._left = HELD

    def takes(self, size: int) -> bool:
        """Whether a file of so many bytes is to be read at once; it takes its part of the room then."""
        fits = size <= min(SMALL, self._left)
        self._left -= size if fits else 0
        return fits


def puts(
    files: Mapping[str, str], folders: Mapping[str, str], s3: Optional[S3Access] = None, everything: bool = False
) -> tuple[dict[str, Content], int]:
    """All that `files` and `folders` (name in the archive → where it lies) put in, and how many files were left out.

    One of `files` may be a folder, too, and then puts in what is in it; so does a .tar.gz if the name ends in a slash.
    The name `.` is the archive's root. Raises InvalidRequest where an entry is given twice, and what `contents_of_file`
    and `contents_of_folder` raise.
    """
    asked = [(name, uri, is_folder(uri) or name.endswith("/")) for name, uri in files.items()]
    asked += [(name, uri, True) for name, uri in folders.items()]
    found: dict[str, Content] = {}
    given: dict[str, str] = {}
    left_out, room = 0, Room()
    for name, uri, folder in asked:
        if folder:
            inside, left = contents_of_folder(uri, s3, everything, room)
            left_out += left
        else:
            inside = {"": _of_file(uri, s3, room)}
        top = name.rstrip("/") if folder else name
        for path, content in inside.items():
            entry = path if top == "." else f"{top}/{path}" if path else top
            if entry in found:
                raise InvalidRequest(f"{entry} is given twice, by {given[entry]} and by {uri}; give it once")
            if entry:
                found[entry], given[entry] = content, uri
    return found, left_out


def _of_file(uri: str, s3: Optional[S3Access], room: Room) -> Content:
    try:
        return contents_of_file(uri, s3, room)
    except SourceNotFound as error:
        hint = ", or end the URI of a folder with /" if uri.startswith("s3://") else ""
        raise SourceNotFound(f"{error}{hint}") from None


def is_folder(uri: str) -> bool:
    """Whether `uri` is a folder by itself: a local one, or `s3://…/`. A .tar.gz is one where a folder is asked for."""
    return uri.endswith("/") if uri.startswith("s3://") else os.path.isdir(uri)


def contents_of_file(uri: str, s3: Optional[S3Access] = None, room: Optional[Room] = None) -> Content:
    """What an entry holds that is made of a file: of a local one with its permission bits.

    Raises SourceNotFound, AccessDenied, StoreUnavailable.
    """
    with _given("file"):
        if uri.startswith("s3://"):
            return _of_object(uri, s3, room or Room())
        return _of_local_file(local_path(uri), room or Room())


def contents_of_folder(
    uri: str, s3: Optional[S3Access] = None, everything: bool = False, room: Optional[Room] = None
) -> tuple[dict[str, Content], int]:
    """What lies in a folder, by paths relative to it, and how many files were left out as JUNK, unless `everything`.

    A folder without anything in it is an empty directory, the whole folder, too, under the path "". Symbolic links are
    followed. Raises InvalidRequest, naming the culprit, for a link that leads nowhere or into itself, for sockets,
    pipes and devices and for a folder beyond the limits; SourceNotFound if there is no such folder; AccessDenied,
    StoreUnavailable, and for a .tar.gz InvalidArchive.
    """
    with _given("folder"):
        if uri.lower().endswith(ARCHIVES) and not is_folder(uri):
            return _in_archive(uri, s3, everything)
        if uri.startswith("s3://"):
            return _in_bucket(uri.rstrip("/") + "/", access_for([uri], s3), everything, room or Room())
        return _in_local_folder(local_path(uri), everything, room or Room())


@contextmanager
def _given(what: str) -> Iterator[None]:
    try:
        yield
    except SourceNotFound as error:
        raise SourceNotFound(f"{error}; give an existing {what} to put in") from None


def _is_junk(path: str) -> bool:
    return any(fnmatchcase(part, junk) for part in path.split("/") for junk in JUNK)


def _check_count(count: int, uri: str) -> None:
    if count > FILES_LIMIT:
        raise InvalidRequest(f"{uri} holds more than {FILES_LIMIT:,} files; give the folder that is meant")


def _without_full_directories(found: Mapping[str, Content]) -> dict[str, Content]:
    """What was found, in order; a directory that holds something needs no entry of its own."""
    holding = {path[:at] for path in found for at, char in enumerate(path) if char == "/"}
    if len(found) > 1:
        holding.add("")
    return {path: content for path, content in sorted(found.items()) if path not in holding}


# On the local disk


def _of_local_file(path: str, room: Room) -> Content:
    """A file's content, read at once if there is room for it."""
    with closing(LocalSource(path)) as source:
        about = os.fstat(source.fd)
        mode = about.st_mode & 0o777
        if room.takes(source.size):
            data = source.read(0, source.size)
            source.check()
            return Content.of(data, mode)

    def chunks() -> Iterator[bytes]:
        with closing(LocalSource(path)) as source:
            now = os.fstat(source.fd)
            if not os.path.samestat(now, about) or (now.st_size, now.st_mtime_ns) != (about.st_size, about.st_mtime_ns):
                raise SourceChanged(f"{path} was written to since the repack began; try again when it is complete")
            yield from source.stream()

    def identity() -> str:
        digest = sha256(about.st_size)
        for chunk in chunks():
            digest.update(chunk)
        return str(digest.hexdigest())

    return Content(about.st_size, chunks, identity, mode)


def _in_local_folder(root: str, everything: bool, room: Room) -> tuple[dict[str, Content], int]:
    if os.path.isfile(root):
        raise InvalidRequest(f"{root} is a file; give a folder, or a .tar.gz that holds what is wanted")
    found: dict[str, Content] = {}
    left_out = 0
    pending: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while pending:
        path, above = pending.pop()
        place = os.path.join(root, path)
        about = _followed(place)
        itself = (about.st_dev, about.st_ino)
        if itself in above:
            raise InvalidRequest(f"{place} leads back into a folder that holds it; remove this symbolic link")
        found[path] = Content.empty_directory(about.st_mode & 0o777)
        with named_errors(place):
            names = os.listdir(place)
        for name in names:
            inside, full = posixpath.join(path, name), os.path.join(place, name)
            if not everything and _is_junk(name):
                left_out += _files_below(full)
            elif stat.S_ISDIR(_followed(full).st_mode):
                pending.append((inside, above | {itself}))
            else:
                found[inside] = _of_local_file(full, room)
            _check_count(len(found), root)
    return _without_full_directories(found), left_out


def _followed(path: str) -> os.stat_result:
    """What is at a path, or where its symbolic link leads. Raises InvalidRequest for what cannot be put in."""
    try:
        with named_errors(path):
            about = os.stat(path)
    except (SourceNotFound, InvalidRequest):
        if not os.path.islink(path):
            raise
        leads = f"{path} is a symbolic link to {os.readlink(path)}, which leads nowhere"
        raise InvalidRequest(f"{leads}; mend or remove it") from None
    if not stat.S_ISDIR(about.st_mode) and not stat.S_ISREG(about.st_mode):
        raise InvalidRequest(f"{path} is a socket, pipe or device and cannot be put in; remove it from the folder")
    return about


def _files_below(path: str) -> int:
    if os.path.isdir(path) and not os.path.islink(path):
        return sum(len(files) for _, _, files in os.walk(path))
    return 1


# In S3


def _of_object(uri: str, s3: Optional[S3Access], room: Room) -> Content:
    """An object's content, pinned to its version of now, read at once if there is room for it."""
    source = open_source(uri, s3, only_read=True)
    if room.takes(source.size):
        with closing(source):
            return Content.of(source.read(0, source.size))

    def chunks() -> Iterator[bytes]:
        with closing(source):  # which lets go of what it keeps, and can be read again
            yield from source.stream()

    return Content(source.size, chunks, lambda: f"{uri} {source.version_id} {source.etag}")


def _of_listed(item: Listed, held: bool, s3: Optional[S3Access]) -> Content:
    """The content of an object in a listing, asked for later unless it is to be held."""

    def chunks() -> Iterator[bytes]:
        with closing(open_source(item.uri, s3, only_read=True)) as source:
            if source.etag != item.etag:
                raise SourceChanged(f"{item.uri} was overwritten since the repack began; try again when it is complete")
            yield from source.stream()

    if held:
        return Content.of(b"".join(chunks()))
    return Content(item.size, chunks, lambda: f"{item.uri} {item.etag}")


def _in_bucket(uri: str, s3: Optional[S3Access], everything: bool, room: Room) -> tuple[dict[str, Content], int]:
    from concurrent.futures import ThreadPoolExecutor

    from .stores.s3.listing import objects_below

    assert s3 is not None
    found = {"": Content.empty_directory()}
    listed: dict[str, tuple[Listed, bool]] = {}
    left_out = count = 0
    for count, item in enumerate(objects_below(uri, s3), 1):
        _check_count(count, uri)
        path = item.uri[len(uri) :]
        is_directory = path.endswith("/") or not path
        if is_directory and item.size:
            raise InvalidRequest(f"{item.uri} is an object named like a folder and cannot be put in; rename it")
        if not everything and _is_junk(path):
            left_out += not is_directory
        elif is_directory:
            found[path.rstrip("/")] = Content.empty_directory()
        else:
            listed[path] = item, room.takes(item.size)
    if not count:
        raise SourceNotFound(f"there is nothing below {uri}")
    with ThreadPoolExecutor(FETCHED_AT_ONCE, thread_name_prefix="contents") as pool:
        found.update(zip(listed, pool.map(lambda of: _of_listed(of[0], of[1], s3), listed.values())))
    return _without_full_directories(found), left_out


# In a .tar.gz


def _in_archive(uri: str, s3: Optional[S3Access], everything: bool) -> tuple[dict[str, Content], int]:
    found = {"": Content.empty_directory()}
    links: dict[str, str] = {}
    left_out = unpacked = 0
    with closing(open_source(uri, s3, only_read=True)) as source, of_archive(uri):
        tar = Stream(Reader(source.stream()).chunks())
        for entry in entries(tar):
            path, mode, target = entry.path, entry.mode & 0o777, normal(entry.link)
            if not everything and _is_junk(path):
                left_out += not entry.is_directory
                continue
            links.pop(path, None)  # of several entries of one name the last counts
            if entry.is_directory:
                found[path] = Content.empty_directory(mode)
            elif entry.type == SYMBOLIC_LINK:
                found.pop(path, None)
                links[path] = entry.link
            elif entry.type == HARD_LINK and target in found:
                found[path] = found[target]
            elif entry.type in REGULAR and not entry.sparse:
                unpacked += entry.size
                if unpacked > UNPACKED_LIMIT:
                    limit = f"{UNPACKED_LIMIT >> 20} MiB"
                    raise InvalidRequest(f"{uri} holds more than {limit}; unpack it and give the folder")
                found[path] = Content.of(tar.read(entry.size), mode)
            else:
                raise InvalidRequest(f"{entry.name} in {uri} is no plain file and cannot be put in; give the folder")
            _check_count(len(found) + len(links), uri)
        for _ in tar.rest():  # its last checksums come at the end
            pass
    _follow(links, found, uri)
    return _without_full_directories(found), left_out


def _follow(links: Mapping[str, str], found: dict[str, Content], uri: str) -> None:
    """Put in, for each symbolic link, what it leads to; one that leads to others waits for them."""
    waiting = {path: _target(path, link) for path, link in links.items()}
    while waiting:
        ready = [path for path, target in waiting.items() if not any(_meet(target, other) for other in waiting)]
        for path in ready or [*waiting][:1]:
            target = waiting.pop(path)
            led = {path + place[len(target) :]: content for place, content in found.items() if _within(place, target)}
            if not led or not ready:
                leads = f"{path} in {uri} is a symbolic link to {links[path]}, which leads nowhere or into itself"
                raise InvalidRequest(f"{leads}; pack what is meant instead")
            found.update(led)
            _check_count(len(found), uri)


def _target(path: str, link: str) -> str:
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    return "" if target == "." else target


def _within(path: str, folder: str) -> bool:
    return path == folder or not folder or path.startswith(folder + "/")


def _meet(one: str, other: str) -> bool:
    return _within(one, other) or _within(other, one)
