"""Two runners make the same of every deflate stream as one does: the same bytes, the same errors, the same end."""

from __future__ import annotations

import threading
import tracemalloc
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from lambda_fn.core import inflate, legs, relay
from lambda_fn.core.deflate import LAST
from lambda_fn.core.edit import Content, Edit
from lambda_fn.core.errors import InvalidArchive
from lambda_fn.core.feed import Feed
from lambda_fn.core.gzip import Limits
from lambda_fn.core.legs import Boundary, Piece
from lambda_fn.core.prefix import read_head
from lambda_fn.core.relay import Relay
from lambda_fn.core.survey import survey
from lambda_fn.core.threads import Threads
from tests.archives import PROGRAMS, SINGLE, SLOW, Tar, entry, member, noise
from tests.core.contents import CONTENTS, FIXED_CODES, HEADERS, LEVELS_BETWEEN, content, skewed, stored, words
from tests.core.memory import MemorySource, repacked
from tests.programs import asking, at_hand

LOW = bytes(value * value >> 9 for value in range(256))
"""A translation to bytes that have codes of their own, of many lengths, but nothing to refer to."""
AFTER = noise(300_000, 99)
MIXED = b"".join(words(100_000, seed) + noise(50_000, seed) + skewed(100_000, seed) for seed in range(8))
ENCODERS = {**SINGLE, **PROGRAMS}
STORED = {"zlib 0", "pigz -0", "libdeflate 0"}


@pytest.fixture(autouse=True)
def short_legs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "ALONE", 30_000)
    monkeypatch.setattr(relay, "AHEAD", 400_000)
    monkeypatch.setattr(relay, "LEAST_LEG", 400_000)
    monkeypatch.setattr(relay, "EVERY", 200_000)
    monkeypatch.setattr(legs, "LOOK_AGAIN", 20_000)


def deflated(data: bytes, encoder: str = "zlib 6") -> bytes:
    packed = ENCODERS[encoder](data)
    return packed[10 + (packed[3] & 8 > 0 and packed[10:].index(b"\0") + 1) :][:-8]


def inflated(stream: bytes, chunk: int, helpers: int) -> tuple[list[Piece], bytes, bool]:
    """The pieces, what the feed still holds, and whether a helper became the runner."""
    feed = Feed(stream[at : at + chunk] for at in range(0, len(stream), chunk))
    with Threads(helpers, "inflate") as pool:
        runners = Relay(feed, (lambda: pool) if helpers else None)
        first = runners._runner
        pieces = list(runners.pieces())
        assert runners.eof or not feed.take()
        left = b"".join(iter(feed.take, b""))
        feed.close()
    assert all(piece.crc == zlib.crc32(piece.data) for piece in pieces)
    assert_blocks_begin(stream, b"".join(piece.data for piece in pieces), runners.boundaries)
    return pieces, left, runners._runner is not first


def assert_blocks_begin(stream: bytes, data: bytes, boundaries: Iterable[Boundary]) -> None:
    """By zlib, whose decoder comes to its end where an empty last block of fixed codes takes the place of a block."""
    decode, begin = zlib.decompressobj(-15), 0
    for boundary in boundaries:
        at, phase = divmod(boundary.bit, 8)
        decode.decompress(stream[begin:at])
        begin, ended = at, decode.copy()
        last = stream[at] & (1 << phase) - 1 | 0b011 << phase
        ended.decompress(last.to_bytes(2, "little") + b"\0")
        assert ended.eof
        assert boundary.window == data[boundary.offset - (1 << 15) : boundary.offset]
        after = int.from_bytes(stream[at : at + 100_000], "little") >> phase
        follows = zlib.decompressobj(-15, zdict=boundary.window).decompress(after.to_bytes(100_000, "little"), 1000)
        assert data[boundary.offset :].startswith(follows)


def assert_as_by_one(data: bytes, stream: bytes, chunk: int, after: bytes = AFTER) -> bool:
    """Whether there was help."""
    alone, rest, _ = inflated(stream + after, chunk, helpers=0)
    assert b"".join(piece.data for piece in alone) == data
    assert rest == after
    used = []
    for helpers in (1, 3):
        pieces, left, helped = inflated(stream + after, chunk, helpers)
        assert b"".join(piece.data for piece in pieces) == data
        assert left == after
        used.append(helped)
    return all(used)


contents = st.builds(content, st.sampled_from(sorted(CONTENTS)), st.sampled_from([9_000, 300_000]), st.integers(0, 9))


@pytest.mark.slow
@given(
    st.lists(contents, min_size=1, max_size=8).map(b"".join),
    st.sampled_from(sorted(at_hand(ENCODERS).keys() - HEADERS - SLOW)),
    st.integers(3_000, 70_000),
)
def test_two_runners_make_what_one_makes(data: bytes, encoder: str, chunk: int) -> None:
    event("with help" if assert_as_by_one(data, deflated(data, encoder), chunk) else "alone")


@pytest.mark.slow
@pytest.mark.parametrize(
    "encoder", asking(ENCODERS, sorted(ENCODERS.keys() - HEADERS - FIXED_CODES - LEVELS_BETWEEN - STORED))
)
def test_the_helper_is_of_use(encoder: str) -> None:
    data = MIXED[:750_000] if encoder in SLOW else MIXED
    assert assert_as_by_one(data, deflated(data, encoder), 40_000)


def test_the_helper_is_of_use_to_the_standard_librarys_inflate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "engine", zlib)
    monkeypatch.setattr(inflate, "_new", inflate._Inflater)
    for encoder in ("zlib 6", "isal 1"):
        assert assert_as_by_one(MIXED, deflated(MIXED, encoder), 40_000)


@pytest.mark.parametrize("helpers", [0, 1, 3])
@pytest.mark.parametrize("encoder", ["zlib 1", "zlib 6", "isal 1", "Huffman only"])
def test_block_boundaries_are_known_all_along(encoder: str, helpers: int) -> None:
    """Whether the runner passed them or a helper; a splice begins from them."""
    stream, begin = deflated(MIXED, encoder), 0
    with Threads(helpers, "inflate") as pool:
        feed = Feed(stream[at : at + 30_000] for at in range(0, len(stream), 30_000))
        runners = Relay(feed, (lambda: pool) if helpers else None)
        data = b"".join(piece.data for piece in runners.pieces())
    assert data == MIXED
    assert_blocks_begin(stream, MIXED, runners.boundaries)
    for boundary in runners.boundaries:
        assert boundary.offset - begin < 900_000
        begin = boundary.offset
    assert len(MIXED) - begin < 900_000


def test_where_more_boundaries_are_asked_for_who_runs_knows_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the runner has been a helper, who began before they were asked for, and has no help from then on."""
    monkeypatch.setattr(relay, "EVERY", 1 << 30)
    monkeypatch.setattr(relay, "OFTEN", 100_000)
    data = MIXED + skewed(6_000_000, 1)
    stream = deflated(data, "zlib 1")
    feed = Feed(stream[at : at + 30_000] for at in range(0, len(stream), 30_000))
    with Threads(1, "inflate") as pool:
        runners = Relay(feed, lambda: pool)
        first = runners._runner
        for _ in runners.pieces():
            if runners._runner is not first:
                runners.look_often()
                monkeypatch.setattr(legs, "run_ahead", lambda leg, alike: None)
        assert runners._runner is not first
    assert_blocks_begin(stream, data, runners.boundaries)
    assert sum(boundary.offset > len(MIXED) for boundary in runners.boundaries) > 20


def test_helpers_join_their_legs_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where the runner comes from a leg of its own it may be the last at the meeting."""
    by: list[str] = []
    join = legs.join

    def told(runner: legs.Runner, leg: legs.Leg) -> legs.Joint:
        by.append(threading.current_thread().name)
        return join(runner, leg)

    for module in (legs, relay):
        monkeypatch.setattr(module, "join", told)
    data = b"".join(words(100_000, seed) + noise(50_000, seed) + skewed(100_000, seed) for seed in range(12))
    assert assert_as_by_one(data, deflated(data), 40_000)
    assert len(by) > 6
    assert sum(not name.startswith("inflate") for name in by) <= 2, "one for each number of helpers"


@pytest.mark.slow
@pytest.mark.parametrize("unit", [b"\0", b"ab", b"abc", bytes(range(250))])
def test_what_repeats_is_not_taken_for_what_it_resembles(unit: bytes) -> None:
    data = b"".join(words(150_000, seed) + unit * (900_000 // len(unit)) + noise(9_000, seed) for seed in range(3))
    for encoder in ("zlib 1", "zlib 6", "Huffman only", "isal 1"):
        stream = deflated(data, encoder)
        for chunk in (300, 20_000, 40_001):
            assert_as_by_one(data, stream, chunk)


def test_blocks_inside_of_blocks_are_no_blocks() -> None:
    """A packed file in the model is stored as it is: its blocks are found first, and are none of the stream's."""
    inner = deflated(words(4_000_000, 1), "zlib 9")
    data = words(300_000, 2) + inner + words(300_000, 3)
    for encoder in ("zlib 0", "zlib 6", "isal 1"):
        assert_as_by_one(data, deflated(data, encoder), 50_000)


def test_what_reads_alike_inside_of_stored_blocks_is_no_block() -> None:
    """A stream hidden in stored blocks gives the same 32 KiB as they do at the end of every chunk, but not the rest."""
    packer = zlib.compressobj(9, wbits=-15)
    hidden = packer.compress(words(3_000, 1)) + packer.flush(zlib.Z_SYNC_FLUSH)
    before, behind = 32_860, 65_535 - 5 - 32_860
    data, stream = noise(32_715), stored(noise(32_715), 32_715)
    for seed in range(40):
        payload = noise(before - len(hidden), seed) + hidden + stored(noise(behind, seed), behind + 5 + before)
        data += payload
        stream += stored(payload, len(payload))
    assert_as_by_one(data, stream + LAST, 65_540)


@pytest.mark.slow
def test_a_helper_stops_where_too_much_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes over all the same, and goes on from the middle of a chunk."""
    monkeypatch.setattr(legs, "MOST_AHEAD", 500_000)
    monkeypatch.setattr(legs, "JOINT", 500_000)
    for size in range(600_000, 1_400_000, 20_000):
        data = noise(300_000).translate(LOW) + bytes(size)
        assert assert_as_by_one(data, deflated(data, "Huffman only"), 40_000, after=b"")


def test_a_helper_that_is_of_no_use_is_asked_ever_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    run_ahead = legs.run_ahead

    def counted(leg: legs.Leg, alike: set[int]) -> legs.Runner | None:
        asked.append(leg.position)
        return run_ahead(leg, alike)

    monkeypatch.setattr(legs, "run_ahead", counted)
    stream = deflated(words(1_000_000, 1) * 12, "fixed Huffman")
    _, _, helped = inflated(stream, 65_536, helpers=1)
    assert not helped
    assert 3 <= len(asked) <= 8  # of 60 legs


def test_nobody_is_asked_to_help_with_stored_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legs, "run_ahead", pytest.fail)
    data = noise(4_000_000)
    assert not assert_as_by_one(data, deflated(data, "zlib 0"), 65_536)


@pytest.mark.parametrize("end", [29_999, 250_000, 431_000, 700_001])
def test_a_stream_that_is_cut_off_does_not_end(end: int) -> None:
    stream = deflated(b"".join(words(500_000, seed) for seed in range(8)), "zlib 1")
    for helpers in (0, 1, 3):
        pieces, left, _ = inflated(stream[:end], 40_000, helpers)
        assert not left
        assert sum(len(piece.data) for piece in pieces) < 4_000_000


def test_who_stops_early_leaves_no_thread_behind() -> None:
    from lambda_fn.core.gzip import Reader

    data = member(b"".join(words(500_000, seed) for seed in range(6)))
    before = threading.active_count()
    chunks = Reader((data[at : at + 65_536] for at in range(0, len(data), 65_536)), helpers=2).chunks()
    for _ in range(8):
        next(chunks)
    chunks.close()
    assert threading.active_count() == before


def test_memory_is_constant_in_the_face_of_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a chunk unpacks to a thousand times its size, and a helper runs ahead of it."""
    monkeypatch.undo()
    packer, text = zlib.compressobj(wbits=-15), words(1_500_000, 1)
    parts = [text, bytes(48 << 20)] * 3
    stream = b"".join(map(packer.compress, parts)) + packer.flush()
    for chunk in (64 << 10, 1 << 20):
        feed = Feed(stream[at : at + chunk] for at in range(0, len(stream), chunk))
        tracemalloc.start()
        with Threads(2, "inflate") as pool:
            size = sum(len(piece.data) for piece in Relay(feed, lambda: pool).pieces())
            feed.close()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size == sum(map(len, parts))
        assert peak < (2 + relay.SPARE) * legs.MOST_AHEAD < size // 2


@pytest.mark.slow
def test_errors_are_the_same_for_any_number_of_helpers() -> None:
    packed = member(Tar([entry(f"layer{seed}", words(500_000, seed)) for seed in range(6)]).data)
    told: set[str] = set()
    for at in range(1000, len(packed), len(packed) // 40):
        source = MemorySource(packed[:at] + noise(300, at) + packed[at + 300 :])
        said = {surveyed(source, helpers) for helpers in (0, 1, 3)}
        assert len(said) == 1
        told |= said
    assert len(told) > 3


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["zlib 6", "isal 1", "zlib 0"])
def test_the_output_is_the_same_for_any_number_of_helpers(encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [entry(f"layer{n}", words(200_000, n) + noise(200_000, n) + skewed(200_000, n)) for n in range(8)]
    logs = [entry(f"log{n}.json", b"{}") for n in range(8)]
    packed = ENCODERS[encoder](Tar([part for pair in zip(layers, logs, strict=True) for part in pair]).data)
    edit = Edit({"log3.json": Content.of(b"[]")}, drop=("log5.json", "layer6", "log7.json"))
    outputs = set()
    for helpers in (0, 1, 3):
        monkeypatch.setattr("lambda_fn.core.survey.HELPERS", helpers)
        output, plan = repacked(packed, edit)
        assert plan.method == "splice"
        outputs.add(output)
    assert len(outputs) == 1


def surveyed(source: MemorySource, helpers: int) -> str:
    """What is wrong with it."""
    with pytest.raises(InvalidArchive) as raised:
        survey(source, read_head(source), Edit({}), Limits(), lambda done, total: None, helpers=helpers)
    return str(raised.value)
