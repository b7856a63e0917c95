"""The local disk: a source pinned by its size and times, an output that appears whole or not at all.

The output is made in a temporary file in its own folder and renamed. What can be foreseen to be copied is written while
the survey reads it, so that a graft takes no longer than its survey; the rest the kernel copies (`copy_file_range`).
"""

from __future__ import annotations

import errno
import os
import threading
from contextlib import contextmanager, suppress
from typing import Iterator, Mapping, Optional

from ..core.errors import AccessDenied, InvalidRequest, SourceChanged, SourceNotFound, StoreFull, StoreUnavailable
from ..core.recipe import Copy, Late, Literal, Made, Recipe, size
from ..core.store import CopiesAhead, Memory, Present, Progress, Published, Source
from ..core.threads import Task, Threads

READ_SIZE = 256 << 10
COPY_SIZE = 16 << 20
READ_AHEAD = 8 << 20


@contextmanager
def named_errors(path: str) -> Iterator[None]:
    """Turns the system's errors into ours, each naming the path."""
    try:
        yield
    except FileNotFoundError:
        raise SourceNotFound(f"{path} does not exist") from None
    except (PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise AccessDenied(f"{error.filename or path}: {os.strerror(error.errno or 0).lower()}") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreFull(f"no room for {path}; nothing was left behind") from None
        if error.errno == errno.EROFS:
            raise AccessDenied(f"{path}: {os.strerror(errno.EROFS).lower()}") from None
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise InvalidRequest(f"{path}: {os.strerror(error.errno).lower()}") from None
        if error.errno == errno.ESPIPE:
            unfit = f"{path} lies on a disk that is written from front to back only, as mounted buckets are"
            raise InvalidRequest(f"{unfit}; write to another folder, or to the bucket's s3:// URI") from None
        raise StoreUnavailable(f"{path}: {error.strerror or error}") from None


@contextmanager
def _unwritable(path: str) -> Iterator[None]:
    """Turns what says that no file can be made there into one sentence, without a temporary file's name."""
    try:
        yield
    except (FileNotFoundError, PermissionError) as error:
        reason = os.strerror(error.errno or 0).lower()
        raise AccessDenied(f"{path} cannot be written: {reason}; name another place") from None


class LocalSource:
    """A file, opened once."""

    etag: Optional[str] = None
    version_id: Optional[str] = None
    note: Mapping[str, str] = {}
    warnings: tuple[str, ...] = ()
    ours = False  # a file has no place for a word that only we could have left

    def __init__(self, path: str) -> None:
        """Raises SourceNotFound, AccessDenied."""
        self.path = path
        self.bytes_read = 0
        self._counting = threading.Lock()  # a stream may be read in another thread
        with named_errors(path):
            if os.path.exists(path) and not os.path.isfile(path):
                raise SourceNotFound(f"{path} is not a file")
            self.fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        self._opened = os.fstat(self.fd)
        self.size = self._opened.st_size

    def read(self, start: int, stop: int) -> bytes:
        """The bytes of a small range. Raises SourceChanged."""
        with named_errors(self.path):
            data = os.pread(self.fd, stop - start, start)
        with self._counting:
            self.bytes_read += len(data)
        if len(data) < stop - start:
            raise self._changed()
        return data

    def stream(self, start: int = 0, stop: Optional[int] = None) -> Iterator[bytes]:
        """A range, or the whole file, in chunks. Raises SourceChanged."""
        at, stop = start, self.size if stop is None else stop
        while at < stop:
            data = self.read(at, min(at + READ_SIZE, stop))
            at += len(data)
            yield data
        self.check()

    def check(self) -> None:
        """Raises SourceChanged if the file was written to or replaced since it was opened."""
        now = os.fstat(self.fd)
        if (now.st_size, now.st_mtime_ns) != (self._opened.st_size, self._opened.st_mtime_ns):
            raise self._changed()

    def _changed(self) -> SourceChanged:
        return SourceChanged(f"{self.path} was written to while it was read; try again when it is complete")

    def close(self) -> None:
        """Close the file."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class LocalTarget:
    """A path for one output."""

    present: Optional[Present] = None
    memory: Optional[Memory] = None

    def __init__(self, path: str) -> None:
        """Raises AccessDenied, InvalidRequest."""
        with _unwritable(path):  # there may be no folder any more that it is relative to
            self.path = os.path.realpath(path)
        self.ahead: Optional[CopiesAhead] = self
        self._temporary: Optional[str] = None
        self._made_folders: list[str] = []
        self._fd = -1
        self._anticipated: Optional[tuple[Source, int, int]] = None
        """Up to where a source has been copied, and how far its bytes were moved."""
        self._ahead = False
        with named_errors(self.path):
            if os.path.isdir(self.path) or path.endswith("/"):
                raise InvalidRequest(f"{path} is a folder; name the new archive")
            if os.path.exists(self.path) and not os.path.isfile(self.path):
                raise InvalidRequest(f"{path} is a device, pipe or socket; name the new archive")
            above = os.path.dirname(self.path)
            while not os.path.lexists(above):
                above = os.path.dirname(above)
            if not os.path.isdir(above):
                raise InvalidRequest(f"{path} cannot be written, since {above} is no folder; name another place")
            if not os.access(above, os.W_OK | os.X_OK):
                raise AccessDenied(f"{path} cannot be written: {above} permits no new files")

    def anticipate(self, source: Source, shift: int) -> Iterator[bytes]:
        """`source.stream()`, the source copied into the temporary file meanwhile."""
        self._open(source)
        at, self._anticipated, self._ahead = shift, None, True
        for chunk in source.stream():
            if self._ahead:
                with named_errors(self.path):
                    write_all(self._fd, chunk[max(0, -at) :], max(0, at))
                at += len(chunk)
                self._anticipated = source, shift, at - shift
            yield chunk

    def leave_off(self) -> None:
        """Copy no more of what is anticipated."""
        self._ahead = False

    def publish(self, source: Source, recipe: Recipe, note: Mapping[str, str], progress: Progress) -> Published:
        """Make the output as the recipe says. Raises AccessDenied, StoreFull, SourceChanged."""
        if self._is(source) and recipe == [Copy(0, source.size)]:
            return Published(source.size, None, None, 0, 0, None)
        self._open(source)
        if any(isinstance(piece, Made) and piece.size is None for piece in recipe):
            self._anticipated = None  # so that nothing stands where it was foreseen
        with named_errors(self.path):
            at, late = self._carry_out(source, recipe, progress)
            for place, piece in late:
                write_all(self._fd, piece.data(), place)
            if isinstance(source, LocalSource):
                source.check()
            self._appear(at)
        copied = sum(piece.size for piece in recipe if isinstance(piece, Copy))
        return Published(at, None, None, at - copied, copied, None)

    def _carry_out(self, source: Source, recipe: Recipe, progress: Progress) -> tuple[int, list[tuple[int, Late]]]:
        """Write all that can be written now; the output's size, and what has to be written late, and where."""
        at, late = 0, []
        for piece in recipe:
            if isinstance(piece, Literal):
                at += write_all(self._fd, piece.data, at)
            elif isinstance(piece, Made):
                at = self._write_made(piece, at)
            elif isinstance(piece, Late):
                late.append((at, piece))
                at += piece.size
            else:
                there = self._there(source, piece, at)
                self._copy_range(source, Copy(piece.start + there, piece.stop), at + there)
                at += piece.size
            progress(at, max(at, size(recipe) or source.size))
        return at, late

    def _there(self, source: Source, piece: Copy, at: int) -> int:
        """How many bytes of the piece have been copied to their place already."""
        if self._anticipated is None or self._anticipated[:2] != (source, at - piece.start):
            return 0
        return max(0, min(piece.stop, self._anticipated[2]) - piece.start)

    def _write_made(self, piece: Made, at: int) -> int:
        """Write what is made, while the next of it is made; returns where it ends."""
        with Threads(1, "write") as beside:
            written: Optional[Task[int]] = None
            for chunk in piece.chunks():
                if written:
                    written.result()
                written = beside.do(write_all, self._fd, chunk, at)
                at += len(chunk)
            if written:
                written.result()
        return at

    def close(self) -> None:
        """Remove the temporary file, and the folders made for it, unless the output is there."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._temporary:
            with suppress(OSError):
                os.unlink(self._temporary)
            self._temporary = None
        while self._made_folders:
            with suppress(OSError):  # somebody else has put something there
                os.rmdir(self._made_folders.pop())

    def _open(self, source: Source) -> None:
        """Make the temporary file: whoever may not read a local source may not read its output, unless one is there."""
        if self._fd >= 0:
            return
        folder = os.path.dirname(self.path)
        with named_errors(self.path), _unwritable(self.path):
            missing, above = [], folder
            while not os.path.exists(above):
                missing.append(above)
                above = os.path.dirname(above)
            for path in reversed(missing):
                self._made_folders.append(path)  # before it is made, since a signal may come between
                os.mkdir(path)
            self._temporary = os.path.join(folder, f".repack-{os.urandom(8).hex()}")
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
            allowed = os.fstat(source.fd).st_mode if isinstance(source, LocalSource) else 0o666
            self._fd = os.open(self._temporary, flags, 0o600 | allowed & 0o066)
            if os.path.exists(self.path):
                self._resemble(os.stat(self.path))

    def _resemble(self, present: os.stat_result) -> None:
        """Give the temporary file the owner, the group and the permissions of the output that is there."""
        for user, group in ((-1, present.st_gid), (present.st_uid, -1)):
            with suppress(PermissionError):  # who is neither root nor in that group cannot
                os.fchown(self._fd, user, group)
        os.fchmod(self._fd, present.st_mode & 0o777)  # last: a new owner may take some of it away

    def _appear(self, size: int) -> None:
        assert self._temporary
        os.ftruncate(self._fd, size)
        if os.path.exists(self.path):  # it may be the only copy of the model, so a power cut must not cost both
            os.fsync(self._fd)
        os.replace(self._temporary, self.path)
        self._temporary, self._made_folders = None, []

    def _is(self, source: Source) -> bool:
        if not isinstance(source, LocalSource) or not os.path.exists(self.path):
            return False
        return os.path.samestat(os.stat(self.path), os.fstat(source.fd))

    def _copy_range(self, source: Source, piece: Copy, at: int) -> None:
        if isinstance(source, LocalSource):
            copy_range(source.fd, self._fd, piece.start, piece.stop, at)
            return
        for start in range(piece.start, piece.stop, READ_AHEAD):
            write_all(self._fd, source.read(start, min(start + READ_AHEAD, piece.stop)), at + start - piece.start)


def copy_range(source: int, target: int, start: int, stop: int, at: int) -> None:
    """Copy a range between files, inside the kernel where it can. Raises SourceChanged.

    Where it cannot (two file systems, a network disk, a container that forbids it) it has many ways to say so, one of
    them being that 0 bytes were copied: whatever it says, reading and writing tell what is true.
    """
    in_kernel = hasattr(os, "copy_file_range")
    while start < stop:
        done = 0
        if in_kernel:
            with suppress(OSError):
                done = os.copy_file_range(source, target, min(stop - start, COPY_SIZE), start, at)
            in_kernel = done > 0
        if not done:
            done = write_all(target, os.pread(source, min(stop - start, 1 << 20), start), at)
        if not done:
            raise SourceChanged("the source was cut short while it was copied; try again when it is complete")
        start, at = start + done, at + done


def write_all(fd: int, data: bytes, at: int) -> int:
    """Write all of `data` at an offset; a disk that fills up may take a part first."""
    view = memoryview(data)
    while view:
        try:
            done = os.pwrite(fd, view, at)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise OSError(errno.ESPIPE, os.strerror(errno.ESPIPE)) from error
            raise
        view, at = view[done:], at + done
    return len(data)
