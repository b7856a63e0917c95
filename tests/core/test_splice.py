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
from lambda_fn.core import splice, survey, walk
from lambda_fn.core.edit import Content, Edit
from lambda_fn.core.errors import InvalidArchive
from lambda_fn.core.gzip import Place, Run
from lambda_fn.core.inflate import RAW
from lambda_fn.core.recipe import Literal, Made
from lambda_fn.core.repack import Job
from lambda_fn.core.walk import Nearby
from tests.archives import PROGRAMS, SINGLE, SLOW, WANTED, Encoder, Tar, entry, gunzip, member, members, noise
from tests.core import memory
from tests.core.contents import CONTENTS, FIXED_CODES, HEADERS, LEVELS_BETWEEN, content, stored, words
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


@pytest.mark.parametrize(
    "encoder", asking(ENCODERS, sorted(ENCODERS.keys() - FIXED_CODES - HEADERS - LEVELS_BETWEEN - SLOW))
)
@pytest.mark.parametrize("kind", ["noise", "words", pytest.param("skewed", marks=pytest.mark.slow)])
def test_an_entry_deep_inside_costs_its_neighbourhood_only(tmp_path: Path, encoder: str, kind: str) -> None:
    tar = deep(kind, 3 << 18 if encoder in LARGE_BLOCKS else 3 << 17)
    output, result = repacked(tmp_path, ENCODERS[encoder](tar.data), [WANTED])
    assert gunzip(output) == entry(WANTED, NEW[WANTED], mtime=1_700_000_000).blocks + tar.without_old
    assert result.method == "splice"
    assert result.bytes.uploaded < (700 if encoder in LARGE_BLOCKS else 250) << 10


@pytest.mark.slow
@pytest.mark.parametrize("encoder", asking(ENCODERS, sorted(SLOW)))
@pytest.mark.parametrize("kind", ["words", "skewed"])
def test_encoders_that_think_long_make_no_difference(tmp_path: Path, encoder: str, kind: str) -> None:
    """Noise they store, as others do."""
    test_an_entry_deep_inside_costs_its_neighbourhood_only(tmp_path, encoder, kind)


@pytest.mark.parametrize("encoder", sorted(HEADERS))
def test_what_is_around_the_deflate_data_makes_no_difference(tmp_path: Path, encoder: str) -> None:
    test_an_entry_deep_inside_costs_its_neighbourhood_only(tmp_path, encoder, "words")


@pytest.mark.parametrize("kind", ["noise", "words", "zeros"])
@pytest.mark.parametrize("encoder", asking(ENCODERS, ["zlib 1", "isal 1", "pigz"]))
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


def deep(kind: str, layer: int = 3 << 17) -> Tar:
    """An old entry so far in that the survey gives it a place of its own."""
    assert 3 * layer > survey.GAP
    parts = [entry(f"layer{n}", content(kind, layer, n)) for n in range(4)]
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
        output, result = repacked(tmp_path, ENCODERS["zlib 1"](tar.data), [WANTED])
        assert result.method == "splice"
        assert gunzip(output).endswith(tar.without_old)


@pytest.mark.parametrize(
    "seeds", [pytest.param(range(2), id="two"), pytest.param(range(2, 16), marks=pytest.mark.slow)]
)
def test_the_tail_of_one_entry_may_be_the_head_of_the_next(seeds: range) -> None:
    for seed in seeds:
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


@pytest.mark.parametrize(("effort", "method"), [(walk.EFFORT, "splice"), (-(1 << 40), "rewrite")])
def test_an_archive_that_mocks_boundaries_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, effort: int, method: str
) -> None:
    monkeypatch.setattr(walk, "EFFORT", effort)
    tar = deep("mocking", 1 << 20)
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
                [entry("a", words(900_000, 1)), *[entry(WANTED, b"1", old=True)] * 2000, entry("b", words(900_000, 2))]
            ),
            id="very many",
        ),
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


@pytest.mark.parametrize("followed", [False, True], ids=["alone", "followed"])
def test_a_member_may_end_in_a_block_of_nothing(followed: bool) -> None:
    """Encoders that are told to flush before they are told to end leave one."""
    tar = Tar([entry("a", words(200_000, 1)), entry("x", old=True), entry("b", words(50_000, 2))])
    cut = len(tar.data) - 512 * followed
    compressor = zlib.compressobj(wbits=31)
    data = compressor.compress(tar.data[:cut]) + compressor.flush(zlib.Z_SYNC_FLUSH) + compressor.flush()
    output, planned = memory.repacked(data + (member(tar.data[cut:]) if followed else b""), Edit(drop=("x",)))
    assert planned.method == "splice"
    assert gunzip(output) == tar.without_old


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
    monkeypatch.setattr(splice, "HELD", max(sizes[:2]) + 1)
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
    _, again = memory.repacked(output, {"new": b"2"}, verify="never")
    assert again.method == "graft", "its mark is true"


@pytest.mark.parametrize("small", [splice.SMALL, 1000], ids=["at once", "streamed"])
def test_what_is_encoded_anew_refers_to_what_stays_before_it(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splice, "SMALL", small)
    again_and_again = noise(20_000) * 20
    tar = Tar([entry("a", again_and_again), entry("x", old=True), entry("b", again_and_again)])
    output, planned = memory.repacked(ENCODERS["sync flushes"](tar.data), Edit(drop=("x",)))
    assert gunzip(output) == tar.without_old
    assert planned.method == "splice"
    assert len(output) - planned.copied < 5000


def test_entries_in_several_members_are_removed() -> None:
    parts = [entry("a", words(90_000, 1)), entry("x", b"1", old=True), entry("b", words(150_000, 2))]
    parts += [entry("y", noise(50_000), old=True), entry("c", words(150_000, 3)), entry("z", b"3", old=True)]
    tar = Tar([*parts, entry("d", words(90_000, 4))])
    for size in (60_000, 91_000, 120_000, 250_000):
        output, planned = memory.repacked(members(tar.data, size), Edit(drop=("x", "y", "z")))
        assert planned.method == "splice"
        assert gunzip(output) == tar.without_old


@pytest.mark.parametrize("end", [1024, 3 << 20])
def test_a_large_last_entry_is_removed_whatever_follows_the_end(end: int) -> None:
    tar = Tar([entry("a", noise(300_000)), entry("x", noise(3 << 20, 2), old=True)], end=bytes(end))
    output, plan = memory.repacked(member(tar.data), Edit(drop=("x",)))
    assert (plan.method, gunzip(output)) == ("splice", tar.without_old)


@pytest.mark.parametrize("cut", [100_000, 150_000])
def test_a_header_astride_two_members_is_spelled_anew(cut: int) -> None:
    """Its data, which stays, ends in a third one."""
    files = {"a": words(50_000, 1), "f": words(200_000, 5), "z": words(90_000, 2)}
    tar = Tar([entry("m/", kind=b"5"), *[entry(f"m/{name}", data) for name, data in files.items()]]).data
    begin = tar.index(b"m/f\0")
    source = member(tar[: begin + 300]) + member(tar[begin + 300 : begin + cut]) + member(tar[begin + cut :])
    output, _ = memory.repacked(source, Edit({"f": Content.of(files["f"])}, strip_root=True))
    assert gunzip(output) == Tar([entry(name, data) for name, data in files.items()]).data


def test_a_large_entry_and_one_astride_two_members_are_removed() -> None:
    """The second is come to from the end of the first."""
    parts = [entry("a", noise(90_000, 1)), entry("x", noise(survey.SKIPPED), old=True), entry("b", noise(40_000, 2))]
    first = Tar(parts, end=b"").data
    tar = Tar([*parts, entry("y", noise(30_000), old=True), entry("c", words(90_000, 3))])
    data = member(tar.data[: len(first) + 9000], 1) + member(tar.data[len(first) + 9000 :])
    output, planned = memory.repacked(data, Edit(drop=("x", "y")))
    assert planned.method == "splice"
    assert gunzip(output) == tar.without_old


@pytest.mark.parametrize("encoder", ["zlib 0", "zlib 1"])
def test_what_changes_is_read_again_and_not_what_lies_before_it(tmp_path: Path, encoder: str) -> None:
    """Of entries, the second, the fourth… too near the one before to be given a place of their own."""
    parts = [part for n in range(8) for part in (entry(f"w{n}", noise(700_000, n)), entry(f"x{n}", old=True))]
    tar = Tar([*parts, entry("end", noise(700_000, 9))])
    data = ENCODERS[encoder](tar.data)
    (tmp_path / "model.tar.gz").write_bytes(data)
    result = repack(str(tmp_path / "model.tar.gz"), str(tmp_path / "out.tar.gz"), {}, remove=["x[3-7]"])
    assert gunzip((tmp_path / "out.tar.gz").read_bytes()).count(b"ustar") == 9 + 3
    assert result.why.startswith("5 places in it change")
    assert result.bytes.read < 2 * len(data)


def test_what_lies_beyond_the_last_place_is_read_again_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "PLACES", 1)
    parts = [part for n in range(12) for part in (entry(f"w{n}", noise(700_000, n)), entry(f"x{n}", old=True))]
    tar = Tar([*parts, entry("end", noise(700_000, 99))])
    source, target = memory.MemorySource(member(tar.data, 1)), memory.MemoryTarget()
    planned, _ = Job(source, target, Edit(drop=("x*",))).run()
    assert target.data and gunzip(target.data) == tar.without_old
    assert planned.why.startswith("12 places in it change")
    assert source.bytes_read < 2 * source.size + (1 << 20)


def test_the_plan_says_how_much_changes() -> None:
    """Of two entries together as much as of each alone."""
    parts = [entry("a", noise(900_000, 1)), entry("x", old=True), entry("b", noise(100_000, 2)), entry("y", old=True)]
    data = ENCODERS["zlib 1"](Tar([*parts, entry("c", noise(200_000, 3))]).data)
    said = []
    for names in (("x",), ("y",), ("x", "y")):
        _, planned = memory.repacked(data, Edit(drop=names))
        assert planned.why.startswith("one place in it changes" if len(names) == 1 else "2 places in it change")
        assert not any(isinstance(piece, Made) for piece in planned.recipe), "what is small is encoded once"
        said.append(int(planned.why.split(" and ")[1].split()[0].replace(",", "")))
    assert said[0] + said[1] == said[2]
    assert min(said) > 32 << 10


class Erring:
    """zlib's compressor of a neighbourhood, with something wrong about it."""

    def __init__(self, wrong: str, *args: Any, **kwargs: Any) -> None:
        self._wrong, self._compressor = wrong, COMPRESSOBJ(*args, **kwargs)

    def compress(self, data: bytes) -> bytes:
        said = {"other bytes": data[::-1], "more": data + b"?"}.get(self._wrong, data)
        return self._compressor.compress(said)

    def flush(self, mode: int) -> bytes:
        return self._compressor.flush(zlib.Z_FINISH if self._wrong == "an end" else mode)


COMPRESSOBJ = zlib.compressobj


NOT_WHAT_IT_SHOULD = "what was encoded anew does not decode to what it should"
NOT_WHAT_FOLLOWS = "what was encoded anew does not join what follows"


@pytest.mark.parametrize(
    ("wrong", "behind", "why"),
    [
        ("other bytes", 300_000, NOT_WHAT_IT_SHOULD),
        ("other bytes", 20_000, NOT_WHAT_IT_SHOULD),
        ("more", 300_000, NOT_WHAT_FOLLOWS),
        ("more", 20_000, NOT_WHAT_FOLLOWS),
        ("an end", 300_000, NOT_WHAT_FOLLOWS),
    ],
)
def test_what_is_encoded_anew_is_proved_whatever_its_encoder_did(
    monkeypatch: pytest.MonkeyPatch, wrong: str, behind: int, why: str
) -> None:
    """Where much lies behind the entry, and where so little that there is no boundary in it."""

    def compressobj(*args: Any, **kwargs: Any) -> Any:
        return COMPRESSOBJ(*args, **kwargs) if "level" in kwargs else Erring(wrong, *args, **kwargs)

    tar = Tar([entry("a", noise(200_000, 1)), entry("x", old=True), entry("b", noise(behind, 2))])
    data = ENCODERS["zlib 1"](tar.data)
    monkeypatch.setattr(zlib, "compressobj", compressobj)
    output, planned = memory.repacked(data, Edit(drop=("x",)))
    monkeypatch.undo()
    assert planned.method == "rewrite"
    assert planned.why == f"all of it is encoded anew: {why}"
    assert gunzip(output) == tar.without_old


def test_what_cannot_be_decoded_a_second_time_is_an_error() -> None:
    compressor = zlib.compressobj(wbits=RAW)
    source = Nearby(memory.MemorySource(compressor.compress(bytes(1000)) + compressor.flush()))
    take = splice.Take(Place.at_start(Run(0)), 0, 1001)
    with pytest.raises(InvalidArchive) as refused:
        b"".join(splice.taken(source, [take]))
    assert str(refused.value) == "the archive is damaged: it cannot be decoded twice; pack the model again"
