"""The repack itself: scan, plan, publish.

unchanged   the archive holds the overlay already     the source as it is
graft       none of it is there                       a new prefix, the rest verbatim
splice      old entries have to go                    the same, and their neighbourhoods encoded anew
rewrite     a splice cannot do it                     everything anew
"""

from __future__ import annotations

import hashlib
import json
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Collection, Iterator, Mapping, Optional

from .errors import InvalidRequest, RepackError
from .feed import read_ahead
from .gzip import TRAILER_SIZE, Limits, Run
from .prefix import Head, make_prefix, read_head
from .recipe import Copy, Literal, Recipe
from .rewrite import rewritten
from .scan import Findings, reported, scan
from .search import Search, Spot
from .splice import ENCODE_LIMIT, Cut, Spliced, splice
from .store import Present, Published, Source, Stages, Target
from .tar import normal

HELD = "held"
"""In a note: digests of the contents that the source held already, rightly spelled."""


@dataclass(frozen=True)
class Outcome:
    """How a repack went."""

    method: str
    published: Published
    content: Mapping[str, bytes]
    """What the archive now holds under the overlay's names, as far as this run has seen it."""
    findings: Optional[Findings] = None
    bytes_read: int = 0


@dataclass(frozen=True)
class Job:
    """One repack: from where, to where, what goes in."""

    source: Source
    target: Target
    overlay: Mapping[str, bytes]
    if_present: str = "replace"
    verify: str = "once"
    limits: Limits = field(default_factory=Limits)
    stages: Stages = field(default_factory=lambda: Stages(lambda done, total: None))

    def run(self) -> Outcome:
        """Scan, plan, publish. Raises the errors of `errors`; then nothing is published."""
        check_names(self.overlay)
        if present := self._there():
            there = Published(present.size, present.etag, present.version_id, 0, 0, None)
            return Outcome("unchanged", there, self.overlay if self.if_present == "replace" else {})
        head = read_head(self.source)
        if findings := self._trusted(head):
            return self._from(findings)
        with self._earlier() as known:
            if known:
                return self._regraft(*known)
        outcome = self._from_scan(head)
        if outcome.method != "unchanged" and self._recognizable:
            self.target.remember(self.source, self._made_of)
        return outcome

    def forecast(self) -> Optional[str]:
        """The likely method where `run` needs no scan, "unchanged" if the output is there already; None if it scans.

        Reads next to nothing and writes nothing. Raises what `run` raises for an overlay or a source that cannot be.
        """
        check_names(self.overlay)
        if self._there():
            return "unchanged"
        if self._trusted(read_head(self.source)):
            return "graft"
        with self._earlier() as known:
            return "graft" if known else None

    def _there(self) -> Optional[Present]:
        """What lies at the target, if it is made of just this already."""
        present = self.target.present
        if self.verify == "always" or self.source.etag is None or present is None:
            return None
        return present if self.note.items() <= present.note.items() else None

    @contextmanager
    def _earlier(self) -> Iterator[Optional[tuple[Source, Head]]]:
        """An output that was made of the same version of the source, with other contents, and its head."""
        believed = self.verify != "always" and self._recognizable
        earlier = self.target.earlier(self.source, self._made_of) if believed else None
        if earlier is None:
            yield None
            return
        with closing(earlier):
            yield (earlier, head) if (head := self._head_of(earlier)) else None

    def _head_of(self, earlier: Source) -> Optional[Head]:
        """Its head, if a repack of the source would differ from it in the front alone.

        It would not if the source itself holds one of the contents: that entry stays where it is.
        """
        if any(digest(data) in earlier.note.get(HELD, "") for data in self.overlay.values()):
            return None
        try:
            head = read_head(earlier)
        except RepackError:  # it is archived, or gone, or not ours to read
            return None
        return head if head.rest and head.files.keys() == self.overlay.keys() else None

    def _regraft(self, earlier: Source, head: Head) -> Outcome:
        """The earlier output with another front, which is what a scan of the source would lead to."""
        assert head.rest is not None
        recipe = graft(Findings(head, Search(()), head.rest), self.overlay, kept(head.rest), earlier.size)
        published = self.target.publish(earlier, recipe, {**earlier.note, **self.note}, self.stages.next())
        return Outcome("graft", published, self.overlay, bytes_read=earlier.bytes_read + self.source.bytes_read)

    def _from_scan(self, head: Head) -> Outcome:
        findings = self._scan(head)
        return self._from(findings) if findings else self._rewrite(head, self.overlay)

    def _from(self, findings: Findings) -> Outcome:
        """Plan and publish."""
        change = findings.search.change(self.overlay, self.if_present, findings.head.files)
        content = {**self._seen(findings), **change.files}
        if not change.files:
            return self._publish("unchanged", [Copy(0, self.source.size)], content, findings)
        rest: Optional[Spliced] = kept(findings.rest)
        if change.removed:
            rest = splice(self.source, findings.rest, cuts(findings, change.removed))
        if rest is None:
            return self._rewrite(findings.head, change.files, findings)
        recipe = graft(findings, change.files, rest, self.source.size)
        return self._publish("splice" if change.removed else "graft", recipe, content, findings)

    def _trusted(self, head: Head) -> Optional[Findings]:
        """What the mark says, if it is enough and the request or our own note allows to believe it."""
        believed = self.verify == "never" or (self.verify == "once" and "overlay" in self.source.note)
        if not believed or head.rest is None or not head.files.keys() >= self.overlay.keys():
            return None
        return Findings(head, Search(()), head.rest)

    def _scan(self, head: Head) -> Optional[Findings]:
        """The scan, a graft's copy running beside it; None if it turned out that only a rewrite will do."""
        expected = Run(head.rest_start)
        prefix = make_prefix({**head.files, **self.overlay}, head.mtime)
        shift = len(head.grafted(prefix, expected)) - head.rest_start

        def only_rewrite(search: Search) -> bool:
            if self.if_present != "replace" or head.rest is not None:
                return False
            removed = search.change(self.overlay, self.if_present, {}).removed
            return bool(removed) and not spliceable(search, removed)

        return scan(
            self.source,
            head,
            self.overlay,
            self.limits,
            self.stages.next(0 if self.target.copies_beside else self.source.size),
            stream=lambda: self.target.anticipate(self.source, shift),
            stop=only_rewrite,
        )

    def _seen(self, findings: Findings) -> dict[str, bytes]:
        """The contents under the overlay's names if nothing changes."""
        if self.if_present == "replace":
            return dict(self.overlay)
        hits = {name: hits.content for name, hits in findings.search.hits.items() if hits.content is not None}
        return {name: data for name, data in {**findings.head.files, **hits}.items() if name in self.overlay}

    def _publish(self, method: str, recipe: Recipe, content: Mapping[str, bytes], findings: Findings) -> Outcome:
        published = self.target.publish(self.source, recipe, {**self.note, **held(findings)}, self.stages.next())
        return Outcome(method, published, content, findings, self.source.bytes_read)

    def _rewrite(self, head: Head, files: Mapping[str, bytes], findings: Optional[Findings] = None) -> Outcome:
        prefix = make_prefix({**head.files, **files}, head.mtime)
        rest = Run(0)
        stream = self.source.stream()
        ahead = read_ahead(stream) if self.source.swift else stream  # others read ahead themselves
        chunks = reported(ahead, self.source.size, self.stages.next())
        published = self.target.write(
            self.source,
            len(head.grafted(prefix, rest)),
            rewritten(chunks, self.limits, head, prefix, files, rest),
            lambda: head.grafted(prefix, rest),
            {**self.note, **(held(findings) if findings else {})},
        )
        return Outcome("rewrite", published, {**self.overlay, **files}, findings, self.source.bytes_read)

    @property
    def note(self) -> dict[str, str]:
        """What the output is made from, kept beside it: the same note means the same output."""
        contents = [hashlib.sha256(self.overlay[name]).hexdigest() for name in sorted(self.overlay)]
        return {**self._made_of, "overlay": hashlib.sha256("".join(contents).encode()).hexdigest()}

    @property
    def _made_of(self) -> dict[str, str]:
        """The note less the contents: outputs of the same differ in their fronts alone."""
        names = json.dumps([self.if_present, *sorted(self.overlay)])
        return {
            "format": "1",
            "source": self.source.etag or "",
            "source-version": self.source.version_id or "",
            "names": hashlib.sha256(names.encode()).hexdigest(),
        }

    @property
    def _recognizable(self) -> bool:
        """Whether this version of the source can be told from others, and its outputs differ in their fronts alone."""
        return self.source.etag is not None and self.if_present == "replace"


def digest(data: bytes) -> str:
    """Short, since a note has little room; where two are alike by chance, no more is lost than a shortcut."""
    return hashlib.sha256(data).hexdigest()[:16]


def held(findings: Findings) -> dict[str, str]:
    """What a note says of the contents that the source held already."""
    found = [hits.content for name, hits in sorted(findings.search.hits.items()) if hits.are(name)]
    digests = ",".join(digest(data) for data in found if data is not None)
    return {HELD: digests} if digests else {}


def spliceable(search: Search, removed: Collection[str]) -> list[Spot]:
    """Where the removed entries lie; nothing if they are too many for a splice, too large or in a later member."""
    spots = [spot for spot in search.spots if spot.entry.path in removed]
    if len(spots) < sum(search.hits[name].count for name in removed):
        return []
    possible = all(spot.recent and spot.entry.stop - spot.entry.start <= ENCODE_LIMIT for spot in spots)
    return spots if possible else []


def cuts(findings: Findings, removed: Collection[str]) -> list[Cut]:
    """What to cut out of the rest, in order; nothing if no splice can do it."""
    before = findings.head.prefix.size
    spots = spliceable(findings.search, removed)
    found = [Cut(spot.entry.start - before, spot.entry.stop - before, spot.recent) for spot in spots]
    within = all(cut.stop <= findings.rest.size for cut in found)  # the last may go on in the second member
    return found if within else []


def kept(rest: Run) -> Spliced:
    """The rest as it is."""
    return Spliced([Copy(rest.start, rest.stop)], rest)


def graft(findings: Findings, files: Mapping[str, bytes], rest: Spliced, size: int) -> Recipe:
    """New first bytes, what is left of the first member, its new trailer, and further members verbatim."""
    head = findings.head
    prefix = make_prefix({**head.files, **files}, head.mtime)
    recipe: Recipe = [
        Literal(head.grafted(prefix, rest.run)),
        *rest.recipe,
        Literal(Head.trailer(prefix, rest.run)),
        Copy(findings.rest.stop + TRAILER_SIZE, size),
    ]
    return [piece for piece in recipe if piece.size]


def check_names(overlay: Mapping[str, bytes]) -> None:
    """Raises InvalidRequest unless every name is a path that lies inside the archive, and none lies below another."""
    for name in overlay:
        if not name or "\0" in name or name != normal(name) or name == ".." or name.startswith("../"):
            raise InvalidRequest(f"{name!r} cannot be a name in the archive; write it like code/inference.py")
        for at, char in enumerate(name):
            if char == "/" and name[:at] in overlay:
                raise InvalidRequest(f"{name[:at]} cannot be a file and hold {name}")
