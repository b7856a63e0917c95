"""Progress for people: a bar on a terminal (tqdm's, where it is installed), a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator

if TYPE_CHECKING:
    from .core.store import Progress

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def shown_progress(wanted: bool = True) -> Iterator[Progress]:
    """A Progress that shows itself on stderr until the block ends."""
    if not wanted:
        yield lambda done, total: None
        return
    if sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ImportError:
            pass
        else:
            with tqdm(unit="B", unit_scale=True, unit_divisor=1024, leave=False, file=sys.stderr) as bar:

                def move(done: int, total: int) -> None:
                    bar.total = total
                    bar.update(done - bar.n)

                yield move
            return
    yield _lines(time.monotonic())


def _lines(began: float) -> Progress:
    told = began

    def tell(done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= SECONDS_BETWEEN_LINES:
            told = now
            speed = done / (now - began) / 1e6
            print(f"{100 * done // max(total, 1)} % of {total:,} bytes, {speed:.0f} MB/s", file=sys.stderr, flush=True)

    return tell
