"""What the core asks of the places where archives lie: a Source to read from, a Target to publish to.

`stores/` has one module for each kind of place. Failures leave as the classes of `errors`, and a Target that
fails or is closed unpublished leaves nothing behind: no output, no temporary file, no open upload.
"""

from __future__ import annotations

from typing import Callable, Iterator, Mapping, Optional, Protocol

from .recipe import Recipe
from .value import Value

Progress = Callable[[int, int], None]
"""Called often with (bytes done, bytes in all); may raise to stop the repack cleanly."""


class Stages:
    """Several stages told as one progress: `done` never falls, and the total grows only by a stage nobody foresaw."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0

    def next(self, to_follow: int = 0) -> Progress:
        """The Progress of the next stage; `to_follow` is how many bytes further stages are known to have."""
        before = self._done

        def tell(done: int, total: int) -> None:
            self._done = max(self._done, before + done)  # a scan may begin again
            self._progress(self._done, before + total + to_follow)

        return tell


class Source(Protocol):
    """One version of one object, pinned when it was opened: a read after it was overwritten raises SourceChanged."""

    size: int
    etag: Optional[str]
    version_id: Optional[str]
    bytes_read: int
    """Bytes that came from the store so far, for the Result."""
    warnings: tuple[str, ...]
    """What a person should know of how it was read so far, a sentence each."""

    @property
    def note(self) -> Mapping[str, str]:
        """What `Target.publish` was told to keep beside these very bytes when this program made them; else empty."""

    @property
    def ours(self) -> bool:
        """Whether this object is known to be an output of ours, by a word that nobody else could have left."""

    def read(self, start: int, stop: int) -> bytes:
        """The bytes of a small range."""

    def stream(self, start: int = 0, stop: Optional[int] = None) -> Iterator[bytes]:
        """A range in order, the whole object if none is given, in chunks of at most 256 KiB, each of its own."""

    def close(self) -> None:
        """Let go of files and connections."""


class Present(Value):
    """What lies at a Target before it is published."""

    size: int
    etag: Optional[str]
    version_id: Optional[str]
    note: Mapping[str, str]


class Published(Value):
    """What the store says of the output that is now there."""

    size: int
    etag: Optional[str]
    version_id: Optional[str]
    uploaded: int
    """Bytes that went from here to the store."""
    copied: int
    """Bytes that the store copied by itself."""
    proof: Optional[str]
    """Which checksum of the store proved the output byte for byte ("CRC64NVME"), None where it gives none."""
    warnings: tuple[str, ...] = ()
    """What a person should know of how the store keeps it, a sentence each."""


class Memory(Protocol):
    """Where a store remembers which outputs were made of which sources. It saves work, and never fails."""

    def find(self, source: Source, made_of: Mapping[str, str]) -> Optional[Source]:
        """An output whose note says all of `made_of`, to read from: what lies at the target now, or a remembered one.

        None if there is none, or none that can be read.
        """

    def remember(self, source: Source, made_of: Mapping[str, str]) -> None:
        """Let later Targets find what was just published, as an output of this version of the source."""


class CopiesAhead(Protocol):
    """A store that copies beside the survey, so that little is left for `publish`."""

    def anticipate(self, source: Source, shift: int) -> Iterator[bytes]:
        """`source.stream()`, told that the recipe will most likely put each byte of it to its offset plus `shift`.

        What turns out wrong is put right by `publish`.
        """

    def leave_off(self) -> None:
        """Copy no more of that stream: what comes now will lie elsewhere."""


class Target(Protocol):
    """The place of one output, opened before anything that goes into it is read. `publish` is called once at most."""

    present: Optional[Present]
    """What lies there now."""
    ahead: Optional[CopiesAhead]
    """None where copying ahead gains nothing."""

    @property
    def memory(self) -> Optional[Memory]:
        """None where a store remembers nothing."""

    def publish(self, source: Source, recipe: Recipe, note: Mapping[str, str], progress: Progress) -> Published:
        """Make the output as the recipe says, all or nothing.

        It replaces what lay there when the Target was opened, and only that: otherwise OutputChanged.
        """

    def close(self) -> None:
        """Abandon what was not published."""
