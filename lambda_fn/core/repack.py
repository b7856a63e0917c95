"""The repack itself: recall or survey, plan, publish."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Callable, Mapping, Optional

from .edit import Edit
from .gzip import Limits
from .history import UNSURVEYED, History, Verify, carried_on, held
from .plan import Front, Plan, plan
from .prefix import Head, read_head
from .store import Published, Source, Stages, Target
from .survey import Survey, survey
from .tar import Entry
from .value import Value


class Job(Value):
    """One repack: from where, to where, what is wanted."""

    source: Source
    target: Target
    edit: Edit
    verify: Verify = "once"
    limits: Limits = Limits()
    stages: Stages = Stages(lambda done, total: None)
    visit: Callable[[Entry], None] = lambda entry: None
    """Called with every entry of the source, where it is surveyed."""

    def run(self) -> tuple[Plan, Published]:
        """Make it so. Raises the errors of `errors`; then nothing is published."""
        with ExitStack() as opened:
            recalled = self._recalled(opened)
            made = recalled or self.plan()
            if made.there:
                return made, made.there
            published = self.target.publish(made.source, made.recipe, made.note, self.stages.next())
        if recalled is None and made.method != "unchanged":
            self._history.remember()
        return made, published

    def plan(self, copying: bool = True) -> Plan:
        """What has to be done, from a survey; unless it is for show, the store may be `copying` meanwhile."""
        head = read_head(self.source)
        found = self._survey(head, copying)
        made = plan(self.source, found, self.edit, self.limits)
        return self._noted(made, {**held(found), **self._history.unproved(head, found)})

    def forecast(self) -> Optional[Plan]:
        """What `run` would do where it needs no survey, else None. Raises what `run` would raise for it."""
        with ExitStack() as opened:
            return self._recalled(opened)

    def _recalled(self, opened: ExitStack) -> Optional[Plan]:
        """The plan that needs no survey, None if there is none; it can be carried out until `opened` is closed."""
        history = self._history
        if present := history.there():
            there = Published(present.size, present.etag, present.version_id, 0, 0, None)
            why = "the output is made of just this already"
            content = self.edit.put if self.edit.if_present == "replace" else {}
            return Plan("unchanged", why, [], self.source, content=content, there=there)
        if trusted := history.trusted(read_head(self.source)):
            more = {} if history.vouched else UNSURVEYED
            return self._noted(plan(self.source, trusted, self.edit, self.limits), more)
        if earlier := history.earlier(opened):
            output, found = earlier
            made = plan(output, found, self.edit, self.limits)
            why = "the model was surveyed for an earlier output, of which only the front changes"
            return self._noted(made._replace(method="graft", why=why), carried_on(output.note))
        return None

    def _noted(self, made: Plan, more: Mapping[str, str]) -> Plan:
        """The plan, with the note of what it makes.

        It does not say what it was made of where what is put in depended on the source, or where a later look could not
        tell the source's version: then nobody would believe it, and contents need not be read for it.
        """
        told = self.edit.settled and self.source.etag is not None
        return made._replace(note={**(self._history.note if told else {}), **more})

    @property
    def _history(self) -> History:
        return History(self.source, self.target, self.edit, self.verify)

    def _survey(self, head: Head, copying: bool) -> Survey:
        ahead = self.target.ahead if copying else None
        shift = self._shift(head) if ahead else None
        look = partial(survey, self.source, head, self.edit, self.limits, visit=self.visit)
        if not ahead or shift is None:
            return look(self.stages.next(self.source.size))
        moves = self.edit.drop or self.edit.folders
        return look(
            self.stages.next(self.source.size if moves else 0),
            stream=partial(ahead.anticipate, self.source, shift),
            touched=ahead.leave_off,  # what goes, or is spelled anew, moves all that follows
        )

    def _shift(self, head: Head) -> Optional[int]:
        """How far a graft would move the rest; None if that cannot be told before."""
        if self.edit.strip_root:  # the first entry of all moves the others
            return None
        try:
            size = Front.foreseen(head, self.edit).size
        except Exception:  # noqa: BLE001 # of a Merge's own kinds: it is raised anew if the rest holds nothing, either
            return None
        return None if size is None else size - head.rest_start
