"""The pictures of the documentation: all that is deployed, and nothing over anything else."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from docs import pictures
from tests.stand_ins.stack import Json

pytestmark = pytest.mark.slow  # to synthesize takes seconds

PICTURES = ["architecture", "machine"]
Area = tuple[float, float, float, float]


def boxes(picture: str) -> list[Area]:
    """Left, top, right and bottom of all boxes in a picture."""
    found = re.findall(r'<rect class="[\w ]+" x="(.+?)" y="(.+?)" width="(.+?)" height="(.+?)"', picture)
    rectangles = (map(float, place) for place in found)
    areas: list[Area] = [(x, y, x + wide, y + high) for x, y, wide, high in rectangles]
    for points in re.findall(r'<polygon class="choice" points="(.+?)"', picture):
        xs, ys = zip(*(map(float, point.split(",")) for point in points.split()), strict=True)
        areas.append((min(xs), min(ys), max(xs), max(ys)))
    return areas


def test_every_state_is_in_the_picture(template: Json) -> None:
    from infra.machine import states

    picture = pictures.machine(template)
    for state in states("source", "arn", {}, {}):
        assert f">{state}</text>" in picture


@pytest.mark.parametrize("name", PICTURES)
def test_no_box_and_no_word_lies_over_another(template: Json, name: str) -> None:
    picture = getattr(pictures, name)(template)
    areas = boxes(picture)
    arrows = picture[: picture.rindex("</g>")].splitlines()
    for line in reversed(arrows):  # the words on arrows come last
        word = re.fullmatch(r' +<text class="small" x="(.+?)" y="(.+?)">(.+)</text>', line)
        if not word:
            break
        x, y, half = float(word[1]), float(word[2]) - 4.5, 3.3 * len(word[3])
        areas.append((x - half, y - 8, x + half, y + 8))
    for (left, top, right, bottom), (x, y, to_x, to_y) in combinations(areas, 2):
        assert right <= x or to_x <= left or bottom <= y or to_y <= top


@pytest.mark.parametrize("name", PICTURES)
def test_every_arrow_begins_and_ends_at_a_box(template: Json, name: str) -> None:
    picture = getattr(pictures, name)(template)
    areas = boxes(picture)
    for path in re.findall(r'<path class="line.*?" d="(.+?)"', picture):
        numbers = [float(number) for number in re.findall(r"[-\d.]+", path)]
        for x, y in (numbers[:2], numbers[-2:]):
            assert any(left - 1 <= x <= right + 1 and top - 1 <= y <= bottom + 1 for left, top, right, bottom in areas)
