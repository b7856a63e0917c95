"""What the core asks of the places where archives lie: a Source to read from, a Target to publish to.

`stores/` has one module for each kind of place. Failures leave as the classes of `errors`, and a Target that
fails or is closed unpublished leaves nothing behind: no output, no temporary file, no open upload.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator, Mapping, Optional, Protocol

from .recipe import Recipe

Progress = Callable[[int, int], None]
"""Called often with (bytes done, bytes in all); may raise to stop the repack cleanly."""


class Stages:
    """The progress of stages as one: what is done never falls, and all there is grows only by unforeseen stages."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0

    def next(self, to_follow: int = 0) -> Progress:
        """The Progress of the next stage, after which so many bytes are foreseen for others."""
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
    note: Mapping[str, str]
    """What `Target.publish` was told to keep beside the object when this program made it; else empty."""
    swift: bool
    """Whether bytes come faster than one core can inflate them."""
    bytes_read: int
    """Bytes that came from the store so far, for the Result."""

    def read(self, start: int, stop: int) -> bytes:
        """The bytes of a small range."""

    def stream(self) -> Iterator[bytes]:
        """The whole object in order, in chunks of at most 64 KiB, each a `bytes` of its own."""

    def close(self) -> None:
        """Let go of files and connections."""


@dataclass(frozen=True)
class Present:
    """What lies at a Target before it is published."""

    size: int
    etag: Optional[str]
    version_id: Optional[str]
    note: Mapping[str, str]


@dataclass(frozen=True)
class Published:
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


class Target(Protocol):
    """The place of one output. Exactly one of `publish` and `write` is called, once."""

    present: Optional[Present]
    """What lies there now."""
    copies_beside: bool
    """Whether what is anticipated is copied while it is streamed, so that little is left for `publish`."""

    def earlier(self, source: Source, made_of: Mapping[str, str]) -> Optional[Source]:
        """An output whose note says all of `made_of`, to read from: what lies there now, or one that `remember` knows.

        None if there is none, or none that can be read.
        """

    def remember(self, source: Source, made_of: Mapping[str, str]) -> None:
        """Let later Targets find what was just published, as the `earlier` output of this version of the source.

        It is for saving work only: it may do nothing, and it never fails.
        """

    def anticipate(self, source: Source, shift: int) -> Iterator[bytes]:
        """`source.stream()`, told that the recipe will most likely put each byte of it to its offset plus `shift`.

        A store that gains by it copies beside the scan; what turns out wrong is put right by `publish`.
        """

    def publish(self, source: Source, recipe: Recipe, note: Mapping[str, str], progress: Progress) -> Published:
        """Make the output as the recipe says, all or nothing.

        It replaces what lay there when the Target was opened, and only that: otherwise OutputChanged.
        """

    def write(
        self, source: Source, head_size: int, body: Iterator[bytes], head: Callable[[], bytes], note: Mapping[str, str]
    ) -> Published:
        """Make the output of new bytes only, all or nothing, in constant memory.

        The output is `head()`, `head_size` bytes long and asked for when `body` has ended, then the body's chunks.
        """

    def close(self) -> None:
        """Abandon what was not published."""
