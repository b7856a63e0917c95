"""Chunks come in order, whether put back or read ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lambda_fn.core.errors import SourceChanged
from lambda_fn.core.feed import AHEAD, Feed, read_ahead


def numbered(count: int) -> list[bytes]:
    return [b"%d;" % number for number in range(count)]


def test_what_is_put_back_comes_again() -> None:
    feed = Feed([b"abcd", b"ef"])
    assert (feed.take(3), feed.position) == (b"abc", 3)
    feed.put_back(b"bc")
    assert (feed.take(), feed.position) == (b"bc", 3)
    assert (feed.take(), feed.take(), feed.take(), feed.position) == (b"d", b"ef", b"", 6)


@pytest.mark.parametrize("count", [0, 1, AHEAD - 1, AHEAD, AHEAD + 1, 10 * AHEAD])
def test_reading_ahead_changes_nothing(count: int) -> None:
    assert list(read_ahead(numbered(count))) == numbered(count)


def test_no_more_is_read_ahead_than_is_bounded() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"chunk"

    ahead = read_ahead(endless())
    for used in range(1, 10 * AHEAD):
        next(ahead)
        assert taken <= used + 2 * AHEAD
    ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]


def test_an_error_of_the_reading_reaches_the_user() -> None:
    def overwritten() -> Iterator[bytes]:
        yield from numbered(AHEAD)
        raise SourceChanged("it was written to")

    ahead = read_ahead(overwritten())
    assert [next(ahead) for _ in range(AHEAD)] == numbered(AHEAD)
    with pytest.raises(SourceChanged, match="it was written to"):
        next(ahead)
