"""What is forecast without a survey is what is done, for every way to ask and every kind of source."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core.edit import Content, Edit, IfPresent, Merge
from lambda_fn.core.errors import RepackError
from lambda_fn.core.history import UNSURVEYED, Verify
from lambda_fn.core.repack import Job
from lambda_fn.core.store import Source
from tests.archives import WANTED, Tar, entry, member
from tests.core.forgeries import FORGERIES
from tests.core.memory import MemorySource, MemoryTarget, repacked

PLAIN = member(Tar([entry("a"), entry("b", b"b")]).data)
OTHER = member(Tar([entry("a"), entry(WANTED, b'{"x": 1}'), entry("b", b"b")]).data)
OURS, _ = repacked(PLAIN, {WANTED: b'{"x": 1}', "code/x.py": b"1"})
SOURCES = {"plain": PLAIN, "with an old entry": OTHER, "marked": OURS}
EDITS = {
    "the same": {"put": {WANTED: Content.of(b'{"x": 1}')}},
    "another": {"put": {WANTED: Content.of(b'{"x": 2}')}},
    "another mode": {"put": {WANTED: Content.of(b'{"x": 1}', 0o600)}},
    "a new name": {"put": {"new": Content.of(b"1")}},
    "a name below a file": {"put": {f"{WANTED}/x": Content.of(b"1")}},
    "a removal": {"put": {WANTED: Content.of(b'{"x": 2}')}, "drop": ("b",)},
    "a folder": {"folders": frozenset({"code"})},
}


def told(job: Job) -> tuple[str, object]:
    """How running a job ends: with an output by some method, or an error."""
    assert isinstance(job.target, MemoryTarget)
    try:
        plan, _ = job.run()
    except RepackError as error:
        return type(error).__name__, None
    return plan.method, job.target.data


@pytest.mark.parametrize("ours", [False, True])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("if_present", ["replace", "keep", "error"])
@pytest.mark.parametrize("verify", ["once", "always", "never"])
def test_what_is_forecast_is_what_is_done(
    ours: bool, source: str, edit: str, if_present: IfPresent, verify: Verify
) -> None:
    def job() -> Job:
        opened = MemorySource(SOURCES[source])
        opened.ours = ours and source == "marked"
        return Job(opened, MemoryTarget(), Edit(**EDITS[edit], if_present=if_present), verify)  # type: ignore[arg-type]

    done, output = told(job())
    try:
        forecast = job().forecast()
    except RepackError as error:
        assert type(error).__name__ == done
        return
    if forecast is None:
        surveyed = told(Job(MemorySource(SOURCES[source]), MemoryTarget(), job().edit, "always"))
        assert (done, output) == surveyed
    else:
        assert forecast.method == done
        planned = None
        try:
            planned = job().plan(copying=False)
        except RepackError as error:
            pytest.fail(f"a survey refuses what was forecast: {error}")
        assert planned.method == done


def test_only_what_may_be_believed_spares_a_survey() -> None:
    edit = Edit({WANTED: Content.of(b"{}")})
    for verify, ours, spared in (
        ("once", False, False),
        ("once", True, True),
        ("always", True, False),
        ("never", False, True),
    ):
        source = MemorySource(OURS)
        source.ours = ours
        assert (Job(source, MemoryTarget(), edit, verify).forecast() is not None) == spared  # type: ignore[arg-type]


def test_what_was_never_surveyed_is_not_vouched_for() -> None:
    edit = Edit({WANTED: Content.of(b"{}")})
    source = MemorySource(OURS)
    source.etag = "e"
    plan = Job(source, MemoryTarget(), edit, "never").forecast()
    assert plan is not None
    assert UNSURVEYED.items() <= plan.note.items()
    output, _ = repacked(OURS, edit, verify="never")
    again = MemorySource(output)
    again.ours, again.note = True, plan.note
    assert Job(again, MemoryTarget(), Edit({WANTED: Content.of(b"[]")})).forecast() is None
    source.ours = True
    vouched = Job(source, MemoryTarget(), edit, "never").forecast()
    assert vouched is not None
    assert not UNSURVEYED.items() <= vouched.note.items()


def known(archive: bytes, note: Mapping[str, str]) -> MemorySource:
    """An output of ours."""
    source = MemorySource(archive)
    source.ours, source.note = True, note
    return source


EDIT = Edit({WANTED: Content.of(b"{}")})
FIRST: dict[str, Edit] = {
    "what is there": Edit({WANTED: Content.of(b'{"depth": 6}\n')}),
    "another file": Edit({"x": Content.of(b"1")}),
    "laid over": Edit({WANTED: Merge.by(lambda held: b'{"depth": 7}')}),
}


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("verify", ["once", "never"])
def test_no_lie_of_a_mark_is_believed_of_the_output(forgery: str, first: str, verify: Verify) -> None:
    output, plan = repacked(FORGERIES[forgery], FIRST[first], verify=verify)
    source = known(output, plan.note)
    assert told(Job(source, MemoryTarget(), EDIT, "once")) == told(Job(source, MemoryTarget(), EDIT, "always"))


@pytest.mark.parametrize("forgery", FORGERIES)
def test_no_lie_of_a_mark_is_believed_of_an_earlier_output(forgery: str) -> None:
    output, plan = repacked(FORGERIES[forgery], FIRST["what is there"])

    class Earlier:
        def find(self, source: Source, made_of: Mapping[str, str]) -> Source:
            return known(output, plan.note)

        def remember(self, source: Source, made_of: Mapping[str, str]) -> None: ...

    model, target = MemorySource(FORGERIES[forgery]), MemoryTarget()
    model.etag, target.memory = "e", Earlier()
    assert told(Job(model, target, EDIT))[1] == told(Job(model, MemoryTarget(), EDIT, "always"))[1]


edits = st.builds(
    Edit,
    put=st.dictionaries(
        st.sampled_from([WANTED, "x"]),
        st.builds(Content.of, st.sampled_from([b"{}", b'{"x": 1}']), st.sampled_from([None, 0o600])),
        max_size=2,
    ),
    drop=st.sampled_from([(), (), ("b",)]),
    if_present=st.sampled_from(["replace", "replace", "keep"]),
)
steps = st.lists(
    st.tuples(st.integers(0, 3), edits, st.sampled_from(["once", "once", "never"])), min_size=2, max_size=6
)


@given(st.sampled_from([*SOURCES.values(), *FORGERIES.values()]), steps)
def test_whatever_was_made_before_the_output_is_what_a_survey_makes(
    model: bytes, steps: list[tuple[int, Edit, Verify]]
) -> None:
    model_source = MemorySource(model)
    model_source.etag = "model"
    sources = [model_source]

    class Earlier:
        def find(self, source: Source, made_of: Mapping[str, str]) -> Source | None:
            return next((found for found in reversed(sources) if made_of.items() <= found.note.items()), None)

        def remember(self, source: Source, made_of: Mapping[str, str]) -> None: ...

    for number, edit, verify in steps:
        source, target = sources[number % len(sources)], MemoryTarget()
        target.memory = Earlier()
        output = told(Job(source, target, edit, verify))[1]
        if verify == "once":
            assert output == told(Job(source, MemoryTarget(), edit, "always"))[1]
        if target.data is not None:
            sources.append(known(target.data, target.note))
            sources[-1].etag = str(len(sources))
