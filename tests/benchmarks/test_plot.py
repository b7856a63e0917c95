"""The plot: everything lies within the picture."""

from __future__ import annotations

import re

from benchmarks.plot import LETTER, Bar, bars


def test_the_longest_label_begins_within_the_picture() -> None:
    label = "repack, replacing one at either end of a long model"
    picture = bars("Seconds", [("weights", [Bar(label, 3.0, "3.0 s"), Bar("cp", 0.1, "0.1 s")])], "less is better")
    (place,) = re.findall(rf'<text class="label" x="([\d.]+)" y="\d+">{label}', picture)
    assert float(place) - LETTER * len(label) >= 0
