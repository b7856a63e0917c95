"""A short hunt, over the same seeds every time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.hunt import deflate, tar
from tests.hunt.readers import readers


def test_no_other_reader_of_tar_sees_what_we_do_not_know_of(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    assert list(tar.check(range(300), readers(tmp_path), tmp_path, seen)) == []
    assert seen["accepted"] > 50


def test_what_we_inflate_is_what_zlib_inflates() -> None:
    assert [wrong for seed in range(300) if (wrong := deflate.check(seed))] == []
