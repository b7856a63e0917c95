"""One entry's bytes, reading no further than must be."""

from __future__ import annotations

import pytest

from lambda_fn.core.errors import EntryConflict, EntryNotFound, InvalidArchive
from lambda_fn.core.gzip import Limits
from lambda_fn.core.read import HELD, read_entry
from tests.archives import WANTED, Tar, entry, member, noise
from tests.core.memory import MemorySource, repacked


def read(archive: bytes, name: str) -> tuple[bytes, int]:
    source = MemorySource(archive)
    return b"".join(read_entry(source, name, Limits())), source.bytes_read


def test_the_last_entry_of_a_path_counts_as_it_does_when_all_is_extracted() -> None:
    archive = member(Tar([entry("a", b"1"), entry("./a", b"2"), entry("b", b"3")]).data)
    assert read(archive, "a") == (b"2", read(archive, "a")[1])
    assert read(archive, "./b")[0] == b"3"


def test_of_our_own_front_some_kib_are_read() -> None:
    archive, _ = repacked(member(Tar([entry("w", noise(1 << 20))]).data), {WANTED: b"{}"})
    data, moved = read(archive, WANTED)
    assert data == b"{}"
    assert moved <= 128 << 10


def test_a_large_entry_is_streamed() -> None:
    large = noise(HELD + 1)
    assert read(member(Tar([entry("w", large), entry("a")]).data, 1), "w")[0] == large


def test_a_file_that_tar_was_given_twice_is_read() -> None:
    assert read(member(Tar([entry("a", b"1"), entry("a", kind=b"1", link="a")]).data), "a")[0] == b"1"


@pytest.mark.parametrize(
    ("name", "error"), [("x", EntryNotFound), ("d", EntryConflict), ("l", EntryConflict), ("l/x", EntryNotFound)]
)
def test_what_cannot_be_read_is_named(name: str, error: type[Exception]) -> None:
    archive = member(Tar([entry("d/", kind=b"5"), entry("l", kind=b"2", link="d")]).data)
    with pytest.raises(error, match=name):
        read(archive, name)


def test_the_root_is_named_too() -> None:
    with pytest.raises(EntryConflict, match=r"^the root is a directory"):
        read(member(Tar([entry("./", kind=b"5"), entry("a")]).data), ".")


def test_a_damaged_archive_gives_nothing() -> None:
    archive = member(Tar([entry("a", noise(9000)), entry("b")]).data)
    with pytest.raises(InvalidArchive):
        read(archive[:-1] + bytes([archive[-1] ^ 1]), "a")


def test_a_damaged_archive_is_looked_at_twice_only_where_there_was_help() -> None:
    source = MemorySource(member(Tar([entry("model.txt", b"weights " * 40)]).data)[:-5])
    with pytest.raises(InvalidArchive, match="cut off"):
        list(read_entry(source, "model.txt", Limits()))
    assert source.bytes_read <= 2 * source.size, "its head, and all of it once"
