"""The survey: one pass over the source that inflates it, checks all of it, and finds what an edit touches.

When it has ended, the archive is known to be intact (every gzip CRC-32 and length, every tar header's checksum, an
end where it belongs), and for each entry that the edit touches it is known where the deflate data can be entered
before it, and, if the entry is large, before its end. Nothing is extracted; memory is constant but for what is
touched: 32 KiB where an entry lies apart.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Callable, Iterable, Iterator, Optional

from .digest import sha256
from .edit import Edit, Merge
from .errors import InvalidArchive
from .gzip import HELPERS, Limits, Place, Reader, Run
from .prefix import PREFIX_LIMIT, Head
from .search import STAYS, Search, Shared, Verdict
from .store import Progress, Source
from .tar import REGULAR, SHARED_RECORDS, Entry, Stream, entries_and_records

GAP = 1 << 20
"""Uncompressed bytes between two touched entries from which on the second has a place of its own."""
SKIPPED = 2 << 20
"""Bytes of a touched entry from which on its end has a place of its own, so that it is not decoded again."""
PLACES = 1000
"""Places that are kept, with 32 KiB each; what lies beyond is reached from the last of them."""
MANY = 20_000
"""Touched entries up to which each is remembered; with more of them, the archive is rewritten."""


class Touch:
    """An entry that the edit touches, and where it lies."""

    def __init__(self, entry: Entry, verdict: Verdict, run: Run) -> None:
        self.start = entry.start
        """Offset of its first block in the tar."""
        self.data = entry.start + len(entry.blocks)
        """Offset of its data."""
        self.stop = entry.stop
        """Offset of the first block after it."""
        self.verdict = verdict
        self.runs = run, run
        """In which it begins, and ends."""
        self.data_run = run
        """In which its header ends."""
        self.before: Optional[Place] = None
        """From where it can be reached, unless that is known of an earlier one, or cannot be told."""
        self.behind: Optional[Place] = None
        """From where its end can be reached, if it is large."""


class Survey:
    """What there is."""

    def __init__(self, head: Head, search: Search, rest: Run) -> None:
        self.head = head
        self.search = search
        self.rest = rest
        """The deflate data of the first member that a graft keeps."""
        self.touches: list[Touch] = []
        self.shared: list[Shared] = []
        self.many = False
        """Whether more is touched than is remembered."""
        self.uncompressed_size: Optional[int] = None
        self.entries: Optional[int] = None
        self.warnings: tuple[str, ...] = ()

    def take_touches(self) -> list[Touch]:
        """Hand the touches over: each holds windows, which whoever is done with it can let go of."""
        taken, self.touches = self.touches, []
        return taken


def survey(
    source: Source,
    head: Head,
    edit: Edit,
    limits: Limits,
    progress: Progress,
    stream: Optional[Callable[[], Iterable[bytes]]] = None,
    visit: Callable[[Entry], None] = lambda entry: None,
    touched: Callable[[], None] = lambda: None,
    helpers: Optional[int] = None,
    strict: bool = False,
) -> Survey:
    """Survey the source, as `stream()` gives it if not as its own stream does.

    `visit` is called with every entry, `touched` when an entry comes that the edit touches.

    With `strict` all of the deflate data is read as zlib reads it, which takes a third longer (see `inflate`).

    What is found wrong with helpers is looked at again by one alone, so that errors and their positions are the same
    for any number of cores. Raises InvalidArchive, ArchiveTooLarge, EntryConflict, and what the stream raises.
    """
    visits = Visits(visit)
    reader = Reader(
        (stream or source.stream)(),
        limits,
        cut=head.rest_start if head.rest else None,
        helpers=HELPERS if helpers is None else helpers,
        strict=strict,
        passed=lambda position: progress(position, source.size),
    )
    again = partial(
        survey, source, edit=edit, limits=limits, progress=progress, stream=stream, touched=touched, strict=strict
    )
    surveyor = Surveyor(head, edit, reader, touched)
    try:
        surveyor.pass_all(visits)
    except InvalidArchive:
        if reader.helped:
            return visits.of_a_second_look(partial(again, head, helpers=0))
        if head.rest is None:
            raise
        lied = True
    else:
        lied = head.rest is not None and not head.rest.is_like(reader.runs[-1])
    if lied:  # the mark tells of another archive
        return visits.of_a_second_look(partial(again, head.unmarked(), helpers=helpers))
    progress(source.size, source.size)
    if reader.uncompressed == 0:
        raise InvalidArchive("there is no tar inside the gzip: it is empty; pack the model with tar -czf")
    found = surveyor.finish(reader.runs[-1])
    found.uncompressed_size = reader.uncompressed
    found.warnings = (*_warnings(head, surveyor.second_tar), *found.search.warnings)
    return found


class Visits:
    """Tells of each entry once, though an archive may be looked at again; what was told of must be there then."""

    def __init__(self, visit: Callable[[Entry], None]) -> None:
        self._visit = visit
        self._told = self._seen = 0
        self._digest = self._digest_told = 0

    def __call__(self, entry: Entry) -> None:
        self._digest = hash((self._digest, entry.start, entry.name, entry.type, entry.size))
        self._seen += 1
        if self._seen > self._told:
            self._told, self._digest_told = self._seen, self._digest
            self._visit(entry)
        elif self._seen == self._told:
            self._check()

    def of_a_second_look(self, look: Callable[..., Survey]) -> Survey:
        """What a look from the beginning finds. Raises InvalidArchive if it sees other entries than were told of."""
        self._seen = self._digest = 0
        found = look(visit=self)
        if self._seen < self._told:
            self._check()
        return found

    def _check(self) -> None:
        if self._digest != self._digest_told:
            raise InvalidArchive(
                "the archive was made to mislead: a second look sees other entries; pack the model again"
            )


class Surveyor:
    """Passes by the entries and remembers what is touched."""

    def __init__(self, head: Head, edit: Edit, reader: Reader, touched: Callable[[], None]) -> None:
        self._edit, self._reader, self._touched = edit, reader, touched
        self._prefix_size = head.prefix.size
        self._search = Search(edit, head.files)
        self._found = Survey(head, self._search, Run(0))
        self._places = self._entries = self._held = 0
        self._sizes: dict[str, int] = {}
        """Of what is held, by path."""
        self._reached = 0
        """Up to where a walk comes that begins at the last place."""
        self._place: Optional[Place] = None
        """The last one that was kept."""
        self.second_tar = False
        """Whether there is more than zeros behind the end."""

    def pass_all(self, visit: Callable[[Entry], None]) -> None:
        """Look at all entries, and at what follows them."""
        with closing(self._reader.chunks()) as chunks:
            tar = Stream(chunks)
            for entry in entries_and_records(tar):
                if entry.type != SHARED_RECORDS:
                    visit(entry)
                self.pass_by(entry, tar)
            for piece in tar.rest():
                self.second_tar = self.second_tar or bool(bytes(piece).strip(b"\0"))

    def pass_by(self, entry: Entry, tar: Stream) -> None:
        """Look at one entry, whose data comes next in the tar."""
        self._entries += entry.type != SHARED_RECORDS
        if entry.start < self._prefix_size:
            return
        verdict = self._search.see(entry)
        if verdict is STAYS and entry.type != SHARED_RECORDS:
            self._found.shared.clear()
            return
        if entry.type != SHARED_RECORDS:
            self._touched()
        stop = entry.stop if verdict.gone or verdict.name else entry.start + len(entry.blocks)
        run = self._reader.run_at(entry.start)
        touch = Touch(entry, verdict, run)
        touch.data_run = self._reader.run_at(touch.data - 1)
        if entry.start - self._reached > GAP:
            touch.before = self._place_before(entry.start)
            if self._reached:  # who touches two places will touch more
                self._reader.look_often()
        if verdict.name is not None and entry.type in REGULAR and not entry.sparse:
            self._look_inside(verdict.name, entry, tar)
        if not tar.skip(max(0, stop - tar.position)):  # its reader is about to say that the tar is cut off
            return
        touch.runs = run, self._reader.run_at(stop - 1)
        self._reached = stop
        if stop - entry.start > SKIPPED:
            touch.behind = self._place_before(stop - 1)
        self._remember(touch, entry.type == SHARED_RECORDS)

    def finish(self, rest: Run) -> Survey:
        """All entries were seen. Raises EntryConflict."""
        self._search.finish()
        self._found.rest, self._found.entries = rest, self._entries
        return self._found

    def _place_before(self, offset: int) -> Optional[Place]:
        """Where the tar can be entered before an offset that has just been passed; None if that is not known."""
        place = self._reader.place_before(offset)
        if place is None or place is self._place or self._places == PLACES:
            return None
        self._places += 1
        self._place = place
        return place

    def _look_inside(self, name: str, entry: Entry, tar: Stream) -> None:
        """Digest what the entry holds where it could be just what is put in, and keep it where that is asked for."""
        hits, content = self._search.hits[name], self._edit.put[name]
        wanted = self._edit.if_present == "keep" or isinstance(content, Merge)
        self._held -= self._sizes.pop(name, 0)
        kept = wanted and entry.size <= PREFIX_LIMIT - self._held
        if entry.size != content.size and entry.size > PREFIX_LIMIT:
            return
        digest, pieces = sha256(entry.data_size), []
        for piece in tar.pieces(entry.data_size):
            digest.update(piece)
            if kept:
                pieces.append(bytes(piece))
        hits.identity = digest.hexdigest()
        if kept:
            hits.content = b"".join(pieces)
            self._held += len(hits.content)
            self._sizes[name] = len(hits.content)

    def _remember(self, touch: Touch, shared: bool) -> None:
        found = self._found
        if len(found.touches) == MANY:
            found.many = True
        if found.many:
            found.touches.clear()
            return
        found.touches.append(touch)
        verdict = touch.verdict
        if shared:
            found.shared.append(Shared(len(found.touches) - 1))
        elif verdict.gone or verdict.name:
            for record in found.shared:
                record.gone = record.gone or verdict.gone
                record.names.update([verdict.name] if verdict.name else [])
        else:
            found.shared.clear()


def _warnings(head: Head, second_tar: bool) -> Iterator[str]:
    if second_tar:
        yield "something follows the end of the tar; readers ignore it, and it was kept"
    extra = head.header.extra or b""
    if extra.startswith((b"BC", b"RA")):
        yield "the archive was written for random access (BGZF or dictzip); its index does not fit the output"
