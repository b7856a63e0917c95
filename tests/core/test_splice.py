"""A splice removes just the old entries, bit for bit, whatever the encoder and wherever they lie.

    make hunt TESTS=tests/core/test_splice.py

goes through 20,000 archives, in an hour or so.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from lambda_fn import repack
from lambda_fn.core import splice, survey
from lambda_fn.core.edit import Content, Edit
from lambda_fn.core.recipe import Literal, Made
from tests.archives import PROGRAMS, SINGLE, SLOW, WANTED, Encoder, Tar, entry, gunzip, members, noise
from tests.core import memory
from tests.core.contents import CONTENTS, FIXED_CODES, content, stored, words
from tests.programs import asking, at_hand
from tests.readers import GUNZIPS

NEW = {WANTED: b'{"new": 1}', "code/x.py": b"pass\n"}


OLD_NAMES = [[WANTED], [f"./{WANTED}"], [WANTED, "code/x.py"], [WANTED, f"./{WANTED}", WANTED]]
ENCODERS: dict[str, Encoder] = {**SINGLE, **PROGRAMS}
LARGE_BLOCKS = {"libdeflate 6", "libdeflate 12", "zopfli"}


contents = st.builds(
    content,
    st.sampled_from(sorted(CONTENTS.keys() - {"mocking"})),
    st.sampled_from([0, 10, 3000, 40_000, 300_000, 1_000_000]),
    st.integers(0, 9),
)


@st.composite
def tars_with_old_entries(draw: st.DrawFn) -> Tar:
    made = [entry(f"model/{n}", draw(contents)) for n in range(draw(st.integers(0, 5)))]
    for name in draw(st.sampled_from(OLD_NAMES)):
        made.insert(draw(st.integers(0, len(made))), entry(name, draw(contents), old=True))
    return Tar(made)


def repacked(tmp_path: Path, data: bytes, names: Sequence[str]) -> tuple[bytes, Any]:
    source, output = tmp_path / "model.tar.gz", tmp_path / "out.tar.gz"
    source.write_bytes(data)
    result = repack(str(source), str(output), {name: NEW[name] for name in names})
    return output.read_bytes(), result


@pytest.mark.slow
@given(tar=tars_with_old_entries(), encoder=st.sampled_from(sorted(at_hand(ENCODERS).keys() - SLOW)))
def test_only_the_old_entries_are_gone(tmp_path: Path, tar: Tar, encoder: str) -> None:
    names = {part.name.removeprefix("./") for part in tar.old}
    output, result = repacked(tmp_path, ENCODERS[encoder](tar.data), sorted(names))
    event(result.method)
    new = b"".join(entry(name, NEW[name], mtime=1_700_000_000).blocks for name in sorted(names))
    assert gunzip(output) == new + tar.without_old


@pytest.mark.parametrize("encoder", asking(ENCODERS, sorted(ENCODERS.keys() - FIXED_CODES - SLOW)))
@pytest.mark.parametrize("kind", ["noise", "words", pytest.param("skewed", marks=pytest.mark.slow)])
def test_an_entry_deep_inside_costs_its_neighbourhood_only(tmp_path: Path, encoder: str, kind: str) -> None:
    tar = deep(kind, 1 << 20 if encoder in LARGE_BLOCKS else 1 << 19)
    output, result = repacked(tmp_path, ENCODERS[encoder](tar.data), [WANTED])
    assert gunzip(output) == entry(WANTED, NEW[WANTED], mtime=1_700_000_000).blocks + tar.without_old
    assert result.method == "splice"
    assert result.bytes.uploaded < (700 if encoder in LARGE_BLOCKS else 250) << 10


@pytest.mark.slow
@pytest.mark.parametrize("encoder", asking(ENCODERS, sorted(SLOW)))
@pytest.mark.parametrize("kind", ["noise", "words", "skewed"])
def test_encoders_that_think_long_make_no_difference(tmp_path: Path, encoder: str, kind: str) -> None:
    test_an_entry_deep_inside_costs_its_neighbourhood_only(tmp_path, encoder, kind)


@pytest.mark.parametrize("kind", ["noise", "words", "zeros"])
@pytest.mark.parametrize("encoder", asking(ENCODERS, ["zlib 6", "isal 1", "pigz"]))
def test_each_old_spelling_costs_its_neighbourhood_only(tmp_path: Path, encoder: str, kind: str) -> None:
    """Some beside each other, some further apart than what the scan remembers."""
    parts = [entry(f"layer{n}", content(kind, 1 << 20, n)) for n in range(9)]
    for place, name in ((1, f"./{WANTED}"), (4, WANTED), (4, WANTED), (5, f"/{WANTED}"), (9, WANTED), (9, WANTED)):
        parts.insert(place, entry(name, noise(place), old=True))
    tar = Tar(parts)
    output, result = repacked(tmp_path, ENCODERS[encoder](tar.data), [WANTED])
    assert gunzip(output) == entry(WANTED, NEW[WANTED], mtime=1_700_000_000).blocks + tar.without_old
    assert result.method == "splice" or kind == "zeros", "most encoders make a few blocks of 9 MiB of zeros"
    assert result.bytes.uploaded < 4 << 20


def deep(kind: str, layer: int = 1 << 20) -> Tar:
    """An old entry further in than what the scan remembers."""
    parts = [entry(f"layer{n}", content(kind, layer, n)) for n in range(5)]
    parts.insert(3, entry(WANTED, b'{"old": true}', old=True))
    return Tar(parts)


@pytest.fixture(scope="module")
def spliced(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, bytes]:
    """Archives that were spliced, and what is in them."""
    found = {}
    for encoder in ("zlib 6", "zlib 0", "zlib 1"):
        folder = tmp_path_factory.mktemp("spliced")
        output, result = repacked(folder, ENCODERS[encoder](deep("words").data), [WANTED])
        assert result.method == "splice"
        found[folder / "out.tar.gz"] = gunzip(output)
    return found


@pytest.mark.parametrize("reader", asking(GUNZIPS))
def test_every_reader_accepts_it(spliced: dict[Path, bytes], reader: str) -> None:
    for archive, held in spliced.items():
        assert GUNZIPS[reader](archive) == held


@pytest.mark.slow
def test_all_bit_phases_meet(tmp_path: Path) -> None:
    for size in range(40):
        parts = [entry("a", words(300_000 + 37 * size, size)), entry(WANTED, noise(size, 1), old=True)]
        tar = Tar([*parts, entry("b", words(300_000, size + 1))])
        output, result = repacked(tmp_path, ENCODERS["zlib 6"](tar.data), [WANTED])
        assert result.method == "splice"
        assert gunzip(output).endswith(tar.without_old)


@pytest.mark.slow
def test_the_tail_of_one_entry_may_be_the_head_of_the_next() -> None:
    for seed in range(16):
        parts = [entry("a", words(300_000, seed)), entry(WANTED, b"1", old=True), entry("b", words(40_000 + seed, 1))]
        before = Tar(parts, end=b"").data
        parts += [entry("c", words(40_000, 2)), entry(WANTED, b"2", old=True), entry("d", words(300_000, 2))]
        tar = Tar(parts)
        compressor = zlib.compressobj(6, wbits=31)
        data = compressor.compress(before) + compressor.flush(zlib.Z_BLOCK)  # at whatever bit
        data += compressor.compress(tar.data[len(before) :]) + compressor.flush()
        output, outcome = memory.repacked(data, {WANTED: NEW[WANTED]}, chunk=3000)
        assert outcome.method == "splice"
        assert gunzip(output).endswith(tar.without_old)


def test_the_spliced_archive_is_marked_so_that_the_next_repack_is_a_graft(tmp_path: Path) -> None:
    repacked(tmp_path, ENCODERS["zlib 6"](deep("words").data), [WANTED])
    output = tmp_path / "out.tar.gz"
    result = repack(str(output), str(output), {WANTED: b"{}"}, verify="never")
    assert result.method == "graft"
    assert result.bytes.read < 100 << 10
    assert gunzip(output.read_bytes()).startswith(entry(WANTED, b"{}", mtime=1_700_000_000).blocks)


@pytest.mark.parametrize(("effort", "method"), [(survey.EFFORT, "splice"), (-(1 << 40), "rewrite")])
def test_an_archive_that_mocks_boundaries_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, effort: int, method: str
) -> None:
    monkeypatch.setattr(survey, "EFFORT", effort)
    tar = deep("mocking")
    output, result = repacked(tmp_path, ENCODERS["zlib 0"](tar.data), [WANTED])
    assert result.method == method
    assert ("cost too much to find" in result.why) == (method == "rewrite")
    assert gunzip(output).endswith(tar.without_old)


@pytest.mark.parametrize("seed", [3, 9])
def test_the_end_of_a_symbol_does_not_pass_for_a_block_of_fixed_codes(tmp_path: Path, seed: int) -> None:
    parts = [entry("a", noise(3_000_000, seed)), entry(WANTED, b"1", old=True), entry("b", noise(100_000, seed))]
    tar = Tar(parts)
    output, _ = repacked(tmp_path, ENCODERS["zlib-ng 1"](tar.data), [WANTED])
    assert gunzip(output) == entry(WANTED, NEW[WANTED], mtime=1_700_000_000).blocks + tar.without_old


def test_a_stored_block_in_a_stored_block_is_no_boundary(tmp_path: Path) -> None:
    """A file of the model has stored blocks itself, the last of which ends just where the one around it ends."""
    before, inner, after = noise(3_000_000, 1), stored(noise(100, 2), 100), noise(10_000, 3)
    tar = model_with(before + inner + stored(b"", 0) + after)
    left = left_of_stored_block(ENCODERS["zlib 0"](tar.data), after)
    tar = model_with(before + inner + stored(b"", left) + after)
    output, result = repacked(tmp_path, ENCODERS["zlib 0"](tar.data), [WANTED])
    assert result.method == "splice"
    assert gunzip(output) == entry(WANTED, NEW[WANTED], mtime=1_700_000_000).blocks + tar.without_old


def model_with(file: bytes) -> Tar:
    return Tar([entry("a", file), entry(WANTED, b"1", old=True), entry("b", content("noise", 300_000, 4))])


def left_of_stored_block(data: bytes, place: bytes) -> int:
    """Bytes from a place on up to the end of the stored block it is in."""
    at, wanted = 10, data.index(place)
    while (end := at + 5 + int.from_bytes(data[at + 1 : at + 3], "little")) < wanted:
        at = end
    return end - wanted


@pytest.mark.parametrize(
    "tar",
    [
        pytest.param(Tar([entry("a", words(300_000, 1)), *[entry(WANTED, b"1", old=True)] * 99]), id="many"),
        pytest.param(
            Tar(
                [entry("a", words(1 << 19, 1)), entry(WANTED, bytes(20 << 20), old=True), entry("b", words(1 << 19, 2))]
            ),
            id="huge",
        ),
    ],
)
def test_entries_may_be_as_many_and_as_large_as_they_are(tmp_path: Path, tar: Tar) -> None:
    output, result = repacked(tmp_path, ENCODERS["zlib 6"](tar.data), [WANTED])
    assert result.method == "splice"
    assert gunzip(output).endswith(tar.without_old)
    assert result.bytes.uploaded < 250 << 10


def test_an_entry_beyond_the_first_member_costs_its_neighbourhood_only(tmp_path: Path) -> None:
    tar = deep("words")
    output, result = repacked(tmp_path, members(tar.data, 1 << 20), [WANTED])
    assert result.method == "splice"
    assert gunzip(output).endswith(tar.without_old)
    assert result.bytes.uploaded < 250 << 10


def test_an_entry_astride_two_members_is_removed(tmp_path: Path) -> None:
    tar = Tar([entry("a", words(90_000, 1)), entry(WANTED, noise(30_000), old=True), entry("b", words(90_000, 2))])
    for size in (1000, 30_000, 91_000, 92_000, 120_000, 125_000, 160_000):
        output, result = repacked(tmp_path, members(tar.data, size), [WANTED])
        assert gunzip(output).endswith(tar.without_old)
        assert result.method == "splice"


class Counting:
    """zlib's decompressor, which adds up what it is given and what it gives."""

    total = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._decoder = DECOMPRESSOBJ(*args, **kwargs)

    def decompress(self, data: bytes, most: int = 0) -> bytes:
        Counting.total += len(data)
        out = self._decoder.decompress(data, most)
        Counting.total += len(out)
        return out

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)


DECOMPRESSOBJ = zlib.decompressobj


def trap(headers: int, size: int) -> bytes:
    """Headers of stored blocks, all of which end where a bomb of so many bytes begins."""
    lengths = [5 * (headers - number - 1) for number in range(headers)]
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = compressor.compress(bytes(size)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return b"".join(stored(b"", length) for length in lengths) + bomb


@pytest.mark.parametrize("encoder", ["zlib 0", "zlib 6"])
def test_what_is_decoded_to_find_boundaries_is_bounded_for_the_whole_request(
    monkeypatch: pytest.MonkeyPatch, encoder: str
) -> None:
    """Eight old entries, before each of which thousands of headers promise a boundary where a bomb begins."""
    parts = [entry("a", noise(600_000))]
    for number in range(8):
        parts.append(entry(f"trap{number}", noise(1_100_000, number) + trap(4000, 20 << 20) + noise(50, number)))
        parts.append(entry("./" * number + WANTED, b"1", old=True))
    tar = Tar([*parts, entry("b", noise(300_000, 9))])
    data = ENCODERS[encoder](tar.data)
    monkeypatch.setattr(zlib, "decompressobj", Counting)
    monkeypatch.setattr(Counting, "total", 0)
    output, _ = memory.repacked(data, {WANTED: NEW[WANTED]})
    assert Counting.total < (64 << 20) + 16 * len(data) + 2 * (20 << 20)
    monkeypatch.undo()
    assert gunzip(output).endswith(tar.without_old)


def test_what_need_not_be_held_is_encoded_again_when_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [entry("a", words(1_500_000, 1)), entry("x", old=True), entry("b", words(1_500_000, 2))]
    tar = Tar([*parts, entry("y", old=True), entry("c", words(1_500_000, 3)), entry("z", old=True), entry("d")])
    data, edit = ENCODERS["zlib 6"](tar.data), Edit(drop=("x", "y", "z"))
    held, planned = memory.repacked(data, edit)
    sizes = [piece.size for piece in planned.recipe if isinstance(piece, Literal) and piece.size > 1000]
    assert len(sizes) == 3
    monkeypatch.setattr(splice, "HELD", sizes[0] + 1)
    again, replanned = memory.repacked(data, edit)
    assert [piece.size for piece in replanned.recipe if isinstance(piece, Made)] == sizes[2:]
    assert again == held
    assert gunzip(held) == tar.without_old


@pytest.mark.parametrize("last", [False, True])
def test_a_large_neighbourhood_is_streamed(last: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splice, "SMALL", 1 << 20)
    parts = [entry("a", words(1_500_000, 1)), entry("x", b"1", old=True), entry("zeros", bytes(5 << 20))]
    tar = Tar(parts if last else [*parts, entry("b", words(600_000, 2))])
    output, planned = memory.repacked(ENCODERS["zlib 6"](tar.data), Edit({"new": Content.of(b"1")}, ("x",)))
    assert planned.method == "splice"
    assert [piece.size for piece in planned.recipe if isinstance(piece, Made)] == [None]
    assert gunzip(output) == entry("new", b"1", mtime=1_700_000_000).blocks + tar.without_old
