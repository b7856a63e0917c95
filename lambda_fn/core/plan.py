"""The plan: what to do about an edit, and why, as a value; nothing is written yet.

unchanged   the archive is as wanted already             the source as it is
graft       what is new goes in front                    a new prefix, the rest verbatim
splice      entries have to go, or to be spelled anew    the same, and their neighbourhoods encoded anew
rewrite     a splice cannot do it, or would be more work everything anew

What is put in lies in front of everything else, so that most plans are grafts: small files in the prefix, which is made
anew each time, larger ones behind it, where they are copied the next time.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Callable, Collection, Iterator, Literal, Mapping, Optional, Union

from . import recipe as recipes
from .deflate import deflate
from .edit import Content, Edit, Merge
from .errors import EntryConflict, EntryExists, SourceChanged
from .gzip import TRAILER_SIZE, Limits, Place, Run
from .header import Attributes, header
from .prefix import PREFIX_LIMIT, Head, Prefix, Written, make_prefix
from .recipe import Copy, Late, Made, Piece, Recipe
from .recipe import Literal as LiteralPiece
from .rewrite import rewritten
from .search import NAMES, Search
from .splice import Member, Patch, Spliced, splice
from .store import Published, Source
from .survey import Survey
from .tar import BLOCK, padded
from .value import Value
from .walk import NoWayIn, budget

Method = Literal["unchanged", "graft", "splice", "rewrite"]

SMALL_FILE = 1 << 20
"""Bytes of a file up to which it may lie in the prefix,"""
SMALL_FILES = 8 << 20
"""which is filled up to here, the smallest first."""
ENCODED_SHARE = 0.5
"""Of an archive, beyond which encoding neighbourhoods is no less work than encoding everything."""
WORTH_COPYING = 8 << 20
"""Uncompressed bytes that are soon encoded."""
COMMENT_CUT = "the comment in its gzip header is too long for some readers beside our mark; it was cut"


class Plan(Value):
    """What to do."""

    method: Method
    why: str
    """A sentence."""
    recipe: Recipe
    source: Source
    """Whose ranges the recipe copies: the model, or an earlier output of it."""
    note: Mapping[str, str] = {}
    content: Mapping[str, Content] = {}
    """What the archive then holds under the paths that are put in, as far as it is known."""
    put: tuple[str, ...] = ()
    """Paths of entries that are new or new in content."""
    removed: tuple[str, ...] = ()
    """Paths of entries that go, the first hundred."""
    removed_count: int = 0
    survey: Optional[Survey] = None
    """What it is based on; None where the archive need not be surveyed."""
    there: Optional[Published] = None
    """The output, if it is made of just this already and nothing needs to be written."""
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> Optional[int]:
        """The output's bytes; None while they are not known."""
        return self.there.size if self.there else recipes.size(self.recipe)

    @property
    def uploaded(self) -> int:
        """New bytes of the output, as far as their number is known."""
        return sum(piece.size or 0 for piece in self.recipe if not isinstance(piece, Copy))

    @property
    def copied(self) -> int:
        """Bytes of the output that stay as they are in the source."""
        return sum(piece.size for piece in self.recipe if isinstance(piece, Copy))


def plan(source: Source, found: Survey, edit: Edit, limits: Limits) -> Plan:
    """The cheapest correct way from what was found to what is wanted. Raises EntryExists, EntryConflict.

    It takes the touches out of the survey (see `Survey.take_touches`), so it can be asked for once.
    """
    edit = _settled(edit, partial(_held, found=found))
    new = _changed(edit, found)
    going = frozenset(name for name in new if name in found.search.hits)
    patches = deque(_patches(found, going))
    touched = bool(patches)
    front = Front(
        found.head,
        {name: written for name, written in found.search.carried.items() if name not in new},
        {name: (content, _attributes(name, content, edit, found)) for name, content in new.items()},
    )
    facts = Plan(
        "unchanged",
        "the archive is as wanted already",
        [Copy(0, source.size)],
        source,
        content={name: new.get(name) or _left(name, content, found) for name, content in edit.put.items()},
        put=tuple(sorted(new)),
        removed=(*found.search.names, *sorted(going))[:NAMES],
        removed_count=found.search.removed + len(going),
        survey=found,
        warnings=found.warnings,
    )
    if not new and not touched and not found.many and front.carried == found.head.files:
        return facts._replace(why="what is there already is kept") if edit.if_present == "keep" else facts
    if found.entries is not None and not (new or front.carried or found.search.left):
        raise EntryConflict("nothing would be left in the archive; remove less of it")
    if found.head.comment_is_cut:
        facts = facts._replace(warnings=(*facts.warnings, COMMENT_CUT))
    try:
        if found.many:
            raise NoWayIn("so many entries change that a splice would be no less work")
        recipe, done = front.splice(source, found, patches)
    except NoWayIn as reason:
        recipe = front.rewrite(source, found, edit, going, limits)
        return facts._replace(method="rewrite", why=f"all of it is encoded anew: {reason}", recipe=recipe)
    if not touched:
        return facts._replace(method="graft", why="all that is new lies in front of the rest", recipe=recipe)
    places = "one place in it changes" if done.places == 1 else f"{done.places} places in it change"
    why = f"{places}, and {done.encoded:,} bytes around are encoded anew"
    return facts._replace(method="splice", why=why, recipe=recipe)


def _settled(edit: Edit, held: Callable[[str], Optional[bytes]]) -> Edit:
    """The edit, now that it is known what is `held` under each path."""
    if edit.settled:
        return edit
    put = {
        name: content.settled(held(name)) if isinstance(content, Merge) else content
        for name, content in edit.put.items()
    }
    return edit._replace(put=put)


def _held(name: str, found: Survey) -> Optional[bytes]:
    """What the archive holds under a path that extracting leaves: the last entry's content; None if nothing.

    Raises EntryConflict where that could not be kept.
    """
    hits = found.search.hits.get(name)
    if hits is None:
        return found.search.carried[name].data if name in found.search.carried else None
    if hits.content is None:
        kept = f"only plain files are kept, of at most {PREFIX_LIMIT} bytes together"
        raise EntryConflict(f"cannot keep {name}: {kept}; give all that it shall hold, to replace it")
    return hits.content


def _changed(edit: Edit, found: Survey) -> dict[str, Content]:
    """What has to be put in. Raises EntryExists, EntryConflict."""
    new: dict[str, Content] = {}
    for name, content in edit.put.items():
        hits, ours = found.search.hits.get(name), found.search.carried.get(name)
        if not (hits or ours):
            new[name] = content
        elif edit.if_present == "error":
            raise EntryExists(f"the archive already holds {name}; say if_present=replace to replace it")
        elif edit.if_present == "keep":
            if hits and (ours or not hits.as_wanted) and not content.directory:
                new[name] = Content.of(_held(name, found) or b"")
        elif not content.directory:  # a directory is there, and what lies in it is another path's matter
            held = hits.hold(content) if hits and not ours else not hits and ours and _holds(ours, content)
            if not held:
                new[name] = content
    found.search.check(new)
    return new


def _left(name: str, content: Content, found: Survey) -> Content:
    """What the archive holds under a path that is not put in anew, as far as it is known."""
    hits, ours = found.search.hits.get(name), found.search.carried.get(name)
    held = hits.content if hits else ours.data if ours else None
    return content if held is None else Content.of(held)


def _holds(ours: Written, content: Content) -> bool:
    return content.mode in (None, ours.attributes.mode) and Content.of(ours.data).identity == content.identity


def _attributes(name: str, content: Content, edit: Edit, found: Survey) -> Attributes:
    """Those of the entry that is replaced, unless the content has a mode of its own."""
    hits, ours = found.search.hits.get(name), found.search.carried.get(name)
    old = hits.attributes if hits else ours.attributes if ours else None
    usual = _usual(content, _date(edit, found.head))
    mode = old.mode if old and content.mode is None else usual.mode
    return (old or usual)._replace(mode=mode & 0o7777, mtime=usual.mtime)


def _usual(content: Content, mtime: int) -> Attributes:
    """Those of a new entry."""
    mode = content.mode if content.mode is not None else 0o755 if content.directory else 0o644
    return Attributes(mode & 0o7777, mtime)


def _date(edit: Edit, head: Head) -> int:
    return head.mtime if edit.mtime is None else edit.mtime


def _patches(found: Survey, going: Collection[str]) -> Iterator[Patch]:
    """The touched entries as patches of the tar, now that it is known which of them have to go."""
    silent = {
        record.number
        for record in found.shared
        if (record.gone or record.names) and record.names <= set(going)  # nothing is left that it speaks for
    }
    place: Optional[Place] = None
    """The last one of the run, of whatever was touched."""
    for number, touch in enumerate(found.take_touches()):
        if touch.before or (place and place.run is not touch.runs[0]):
            place = touch.before
        if touch.verdict.gone or touch.verdict.name in going or number in silent:
            yield Patch(touch.start, touch.stop, b"", touch.runs, place, touch.behind)
        elif touch.verdict.header is not None:
            yield Patch(touch.start, touch.data, touch.verdict.header, (touch.runs[0], touch.data_run), place)
        place = touch.behind or place


class Front(Value):
    """What goes in front: our own entries that stay, and what is put in."""

    head: Head
    carried: Mapping[str, Written]
    put: Mapping[str, tuple[Content, Attributes]]

    @classmethod
    def foreseen(cls, head: Head, edit: Edit) -> Front:
        """As it will be if the rest holds nothing of what is put in. Raises what a Merge of that raises."""
        ours = Search(edit, head.files).carried
        edit = _settled(edit, lambda name: ours[name].data if name in ours else None)
        carried = {name: file for name, file in ours.items() if name not in edit.put}
        usual = {name: (content, _usual(content, _date(edit, head))) for name, content in edit.put.items()}
        return cls(head, carried, usual)

    @property
    def size(self) -> Optional[int]:
        """Bytes up to where the rest begins; None while larger files are not deflated."""
        prefix, larger = self._prefix()
        return None if larger else len(self.head.grafted(prefix, Run(0)))

    def splice(self, source: Source, found: Survey, patches: deque[Patch]) -> tuple[Recipe, Spliced]:
        """The first member with a new front and patches, further members with patches. Raises NoWayIn."""
        prefix, larger = self._prefix()
        first = Member()
        if larger:
            run = Run(0)
            first.add(Made(lambda: deflate(_entries(larger), run, last=False)), run)
        uncompressed = found.uncompressed_size or 0
        most = max(WORTH_COPYING, int(ENCODED_SHARE * uncompressed))
        done = splice(source, first, found.rest, patches, budget(source, 2 * uncompressed), most)
        recipe: list[Piece] = [
            _when_known(first, len(self.head.grafted(prefix, Run(0))), lambda: self.head.grafted(prefix, first.run))
        ]
        before = prefix
        for part in done.parts:
            if isinstance(part, Member):
                recipe += [*part.pieces, _trailer(part, before)]
                before = Prefix()
            else:
                recipe.append(part)
        return [piece for piece in recipe if piece.size != 0], done

    def rewrite(self, source: Source, found: Survey, edit: Edit, going: Collection[str], limits: Limits) -> Recipe:
        """One member in which all but our own entries in front is encoded anew."""
        prefix, larger = self._prefix()
        whole = Member()
        run = Run(0)

        def plain() -> Iterator[Union[bytes, memoryview]]:
            yield from _entries(larger)
            yield from rewritten(source, limits, found.head, edit, going)

        share = source.size / found.uncompressed_size if found.uncompressed_size else 0.0
        whole.add(Made(lambda: deflate(plain(), run, share=share)), run)
        size = len(self.head.grafted(prefix, run))
        return [
            Late(size, lambda: self.head.grafted(prefix, whole.run)),
            *whole.pieces,
            _trailer(whole, prefix),
        ]

    def _prefix(self) -> tuple[Prefix, dict[str, tuple[Content, Attributes]]]:
        """The prefix, and what of the put is too large for it."""
        files, larger = dict(self.carried), dict(self.put)
        room = min(SMALL_FILES, PREFIX_LIMIT - sum(len(file.to_bytes(name)) for name, file in files.items()))
        for name in sorted(self.put, key=lambda name: (self.put[name][0].size, name)):
            content, attributes = self.put[name]
            size = content.size + 3 * BLOCK
            if content.size > SMALL_FILE or size > room:
                break
            room -= size
            files[name] = Written(b"".join(_read(name, content)), attributes, content.directory)
            del larger[name]
        return make_prefix(files), larger


def _entries(files: Mapping[str, tuple[Content, Attributes]]) -> Iterator[bytes]:
    """The files as tar entries in the order of their names."""
    for name in sorted(files):
        content, attributes = files[name]
        yield header(name, content.size, attributes, content.directory)
        yield from _read(name, content)
        yield bytes(padded(content.size) - content.size)


def _read(name: str, content: Content) -> Iterator[bytes]:
    """What is put in, as many bytes as were said. Raises SourceChanged."""
    size = 0
    for chunk in content.open():
        size += len(chunk)
        if size > content.size:
            break
        yield chunk
    if size != content.size:
        raise SourceChanged(f"what is put in as {name} was written to while it was read; try again when it is complete")


def _trailer(member: Member, prefix: Prefix) -> Piece:
    return _when_known(member, TRAILER_SIZE, lambda: Head.trailer(prefix, member.run))


def _when_known(member: Member, size: int, data: Callable[[], bytes]) -> Piece:
    return LiteralPiece(data()) if member.known else Late(size, data)
