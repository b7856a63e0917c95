"""Known sources: the way from a source that was scanned once to an output made of it.

What a scan finds stands in the output, in its mark and its note. The next output of the same source, whatever its key,
needs no second scan if that one is found: a pointer leads there, named by a digest of the source's version and of the
names put in. A pointer that cannot be read or written, or leads nowhere, costs a scan and nothing else.
"""

from __future__ import annotations

from typing import Mapping, Optional

from ...core.errors import RepackError
from ...core.store import Source
from . import pointer
from .access import S3Access
from .place import Place
from .pointer import Output
from .source import S3Source


class Known:
    """A `core.store.Memory`: the outputs that one place's next output may be made of."""

    def __init__(self, place: Place, access: S3Access, note: Mapping[str, str]) -> None:
        self.place = place
        self.access = access
        self._note = note
        """Of what lies at the place now."""
        self._published: Optional[Output] = None

    def find(self, source: Source, made_of: Mapping[str, str]) -> Optional[S3Source]:
        """The object that lies at the place now, or one in the same bucket that a pointer leads to."""
        lies = self._pointer(source, made_of)
        named = pointer.follow(lies, self.access) if lies and not self._lies_there(made_of) else None
        if named is None and not self._lies_there(made_of):
            return None
        try:
            output = S3Source(named.uri if named else str(self.place), self.access, named)
        except RepackError:
            return None
        output.model = source if isinstance(source, S3Source) else None
        return output if output.place.bucket == self.place.bucket and made_of.items() <= output.note.items() else None

    def _lies_there(self, made_of: Mapping[str, str]) -> bool:
        return made_of.items() <= self._note.items()

    def vouch(self, output: Output) -> tuple[str, ...]:
        """Say of what was just published that it is ours; why not, if that cannot be said."""
        self._published = output
        prefix = self.access.known_sources
        return pointer.point(pointer.lies(prefix, *output.identity), self.access, output) if prefix else ()

    def remember(self, source: Source, made_of: Mapping[str, str]) -> None:
        """Make the pointer lead to what was published."""
        lies = self._pointer(source, made_of)
        if lies and self._published:
            pointer.point(lies, self.access, self._published)

    def _pointer(self, source: Source, made_of: Mapping[str, str]) -> Optional[Place]:
        """Where it lies. Buckets share none: their regions and rights may differ."""
        if self.access.known_sources is None or not isinstance(source, S3Source):
            return None
        of = source.place.bucket, source.place.key, sorted(made_of.items()), self.place.bucket
        return pointer.lies(self.access.known_sources, *of)
