"""What must be made anew as a whole holds what it shall, and the next repack of it is a graft."""

from __future__ import annotations

import pytest

from lambda_fn.core import survey
from lambda_fn.core.edit import Edit
from tests.archives import ENCODERS, WANTED, Part, Tar, entry, gunzip, shared
from tests.core.contents import words
from tests.core.memory import repacked

NEW = b'{"new": 1}'


@pytest.fixture(autouse=True)
def one_is_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """One change is more than a splice is worth, so that archives of a rewrite are small."""
    monkeypatch.setattr(survey, "MANY", 0)


def model(*more: Part) -> Tar:
    return Tar([entry("w", words(100_000, 1)), entry(WANTED, b"1", old=True), entry("v", words(100_000, 2)), *more])


@pytest.mark.parametrize("encoder", ["zlib 6", "isal 0", "fixed Huffman", "halves"])
def test_all_that_stays_is_there_behind_what_is_new(encoder: str) -> None:
    tar = model()
    output, plan = repacked(ENCODERS[encoder](tar.data), {WANTED: NEW})
    assert gunzip(output) == entry(WANTED, NEW).blocks + tar.without_old
    assert plan.method == "rewrite"
    assert plan.why.startswith("all of it is encoded anew: ")


def test_the_next_time_it_is_a_graft() -> None:
    first, _ = repacked(ENCODERS["zlib 6"](model().data), {WANTED: b"{}"})
    second, plan = repacked(first, {WANTED: NEW}, verify="never")
    assert plan.method == "graft"
    assert gunzip(second) == entry(WANTED, NEW).blocks + model().without_old


def test_a_shared_header_goes_with_the_last_entry_that_it_spoke_for() -> None:
    spoken = shared({"comment": "of what follows"})
    for behind, stays in (([spoken, entry("x")], b""), ([spoken, entry("x"), entry("y")], spoken.blocks)):
        tar = model(*behind)
        output, plan = repacked(ENCODERS["zlib 6"](tar.data), Edit(drop=("x", WANTED)))
        assert plan.method == "rewrite"
        left = b"".join(part.blocks for part in tar.parts if part.name and part.name not in ("x", WANTED, "y"))
        assert gunzip(output) == left + stays + (entry("y").blocks if stays else b"") + tar.end


def test_what_follows_the_end_is_kept() -> None:
    tar = Tar(model().parts, end=bytes(10240) + b"after")
    output, plan = repacked(ENCODERS["zlib 6"](tar.data), {WANTED: NEW})
    assert plan.method == "rewrite"
    assert gunzip(output) == entry(WANTED, NEW).blocks + tar.without_old
