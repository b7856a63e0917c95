"""tar: what any other reader sees in a tar that we accept, we know of."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lambda_fn.core.errors import InvalidArchive
from lambda_fn.core.names import readings
from lambda_fn.core.tar import BLOCK, Entry, Stream, entries
from tests.hunt.readers import Names, Reader
from tests.hunt.tars import LISTED, tar


def check(seeds: Sequence[int], others: Mapping[str, Reader], workshop: Path, seen: Counter[str]) -> Iterator[str]:
    """What is wrong with our reading of the seeds' tars; how many are accepted is counted in `seen`."""
    accepted = {}
    for seed in seeds:
        data = tar(random.Random(seed))
        try:
            found = list(entries(Stream([data])))
        except InvalidArchive:
            seen["refused"] += 1
            continue
        seen["accepted"] += 1
        file = workshop / f"{seed}.tar"
        file.write_bytes(data)
        accepted[seed] = file, found
    files = [file for file, _ in accepted.values()]
    for name, read in others.items():
        for (seed, (_, found)), theirs in zip(accepted.items(), read(files), strict=True):
            if (stranger := unknown(found, theirs, name == "node, tar-stream")) is not None:
                yield f"seed {seed}: {name} sees {stranger!r} in {theirs}, and we see {[one.name for one in found]}"
    for file in files:
        file.unlink()


def unknown(found: Sequence[Entry], theirs: Names, reads_on: bool) -> str | None:
    """A name that another reader sees and that is, in this order, no reading of ours.

    Four differences are known. Python and busybox take the times in GNU tar's headers for folders: names that nobody
    wants. Go and tar-stream take Solaris's extended headers for entries, commons-compress a list of names in GNU tar's
    incremental dumps. And tar-stream reads on behind the end.
    """
    left = [entry for entry in found for _ in range(2 if b"X" in entry.blocks[156::BLOCK] else 1)]
    for name in filter(LISTED.__ne__, theirs):
        paths = {*readings(name), *readings(re.sub("^[0-7]{11}(?:/|$)", "", name))}
        while left and not paths & left[0].readings:
            left.pop(0)
        if not left:
            return None if reads_on else name
        left.pop(0)
    return None
