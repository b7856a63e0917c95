"""History: what need not be surveyed, because it is known to have been.

Three things tell of it. The *note* beside an output says from which version of which source, by which edit and of which
contents it was made: where all of that is wanted again, the output is there already. The *mark* in an archive's own
gzip header says where our prefix ends and what the rest is (see `prefix`): where only the prefix changes, and the mark
may be believed, the rest was surveyed once. And a target's *memory* leads from a source to an earlier output of it,
which is the surveyed source with another front.

They are asked here and nowhere else, so that what is planned is what is done.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Literal, Mapping, Optional

from .digest import hexadecimal
from .edit import Edit
from .errors import RepackError
from .prefix import Head, read_head
from .search import Search
from .store import Present, Source, Target
from .survey import Survey
from .value import Value

Verify = Literal["once", "always", "never"]

UNSURVEYED: Mapping[str, str] = {"surveyed": "no"}
"""In the note of an output that was made by believing a mark that nothing vouched for: nobody ever surveyed it."""
UNPROVED: Mapping[str, str] = {"mark": "unproved"}
"""In the note of an output that was surveyed, but whose mark says more than the survey has found to be so."""
MODED: Mapping[str, str] = {"modes": "given"}
"""In the note of an output of which something that was put in brought a mode, in place of the one in the source."""
HELD = "held"
"""In a note: digests of what was put in but was in the source already, so that it stayed where it was."""


class History(Value):
    """What is known of one repack before anything is read but heads."""

    source: Source
    target: Target
    edit: Edit
    verify: Verify

    def there(self) -> Optional[Present]:
        """What lies at the target, if it is made of just this already."""
        present = self.target.present
        if self.verify == "always" or self.source.etag is None or present is None or not self.edit.settled:
            return None
        return (
            present
            if self.note.items() <= present.note.items() and self._may_believe(present.note, UNSURVEYED)
            else None
        )

    def trusted(self, head: Head) -> Optional[Survey]:
        """What the source's own mark says, if it is enough, and the request or the store allows to believe it."""
        alone = not (self.edit.drop or self.edit.folders or self.edit.strip_root)
        if not alone or head.rest is None or not head.files.keys() >= self.edit.put.keys():
            return None
        believed = self.verify == "never" or (self.verify == "once" and self.vouched)
        return Survey(head, Search(self.edit, head.files), head.rest) if believed else None

    def earlier(self, opened: ExitStack) -> Optional[tuple[Source, Survey]]:
        """An output that was made of the same version of the source with other contents, and what it says of itself.

        It is closed with `opened`.
        """
        memory = self.target.memory if self.verify != "always" and self.recognizable else None
        output = memory.find(self.source, self.made_of) if memory else None
        if output is None:
            return None
        opened.enter_context(closing(output))
        head = self._head_of(output) if self._may_believe(output.note, UNSURVEYED, UNPROVED) else None
        return (output, Survey(head, Search(self.edit, head.files), head.rest)) if head and head.rest else None

    @property
    def vouched(self) -> bool:
        """Whether the store vouches for it that the source was surveyed, and that its mark is true."""
        return self.source.ours and not _says(self.source.note, UNSURVEYED, UNPROVED)

    def unproved(self, head: Head, found: Survey) -> Mapping[str, str]:
        """What a note says of a mark of somebody else's.

        It may have lied, which the survey found out, but an output that is a copy of the source has it yet. And that
        the rest holds no entry of our files' names is looked for in those that are put in, and not in the others.
        """
        lied = head.rest is not None and found.head.rest is None
        others = found.search.carried.keys() - self.edit.put.keys()
        return UNPROVED if lied or (others and not self.vouched) else {}

    def _may_believe(self, note: Mapping[str, str], *doubts: Mapping[str, str]) -> bool:
        return self.verify == "never" or not _says(note, *doubts)

    def remember(self) -> None:
        """The output was published: let later targets find it."""
        if self.target.memory and self.recognizable:
            self.target.memory.remember(self.source, self.made_of)

    def _head_of(self, output: Source) -> Optional[Head]:
        """Its head, if a repack of the source would differ from it in the front alone.

        It would not if the source itself holds one of the contents: that entry stays where it is. And what brings no
        mode takes the one in the source, which the output may not have.
        """
        if _says(output.note, MODED) and any(content.mode is None for content in self.edit.put.values()):
            return None
        if any(_short(content.identity) in output.note.get(HELD, "") for content in self.edit.put.values()):
            return None
        try:
            head = read_head(output)
        except RepackError:  # it is archived, or gone, or not ours to read
            return None
        return head if head.rest and head.files.keys() == self.edit.put.keys() else None

    @property
    def recognizable(self) -> bool:
        """Whether this version of the source can be told from others, and its outputs differ in their fronts alone."""
        return self.source.etag is not None and self.edit.if_present == "replace" and self.edit.settled

    @property
    def made_of(self) -> dict[str, str]:
        """The note less the contents: outputs of the same differ in their fronts alone."""
        return {
            "format": "1",
            "source": self.source.etag or "",
            "source-version": self.source.version_id or "",
            "names": self.edit.digest,
        }

    @property
    def note(self) -> dict[str, str]:
        """What the output is made from, kept beside it: the same note means the same output."""
        put = self.edit.put
        contents = [put[name].identity for name in sorted(put)]
        modes = [f"{name} {put[name].mode:o}" for name in sorted(put) if put[name].mode is not None]
        overlay = hexadecimal("".join([*contents, *modes]).encode("utf-8", "surrogateescape"))
        return {**self.made_of, "overlay": overlay, **(MODED if modes else {})}


def held(found: Survey) -> Mapping[str, str]:
    """What a note says of contents that the source held already: who puts in others, changes more than the front."""
    hits = [hits.identity for _, hits in sorted(found.search.hits.items()) if hits.as_wanted]
    digests = ",".join(_short(identity) for identity in hits if identity is not None)
    return {HELD: digests} if digests else {}


def carried_on(note: Mapping[str, str]) -> Mapping[str, str]:
    """What a further output of the same source says, too."""
    return {name: note[name] for name in (HELD, *UNSURVEYED, *UNPROVED) if name in note}


def _says(note: Mapping[str, str], *doubts: Mapping[str, str]) -> bool:
    return any(doubt.items() <= note.items() for doubt in doubts)


def _short(identity: str) -> str:
    """Short, since a note has little room; where two are alike by chance, no more is lost than a shortcut."""
    return identity[:16]
