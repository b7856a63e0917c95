"""The pictures of the documentation: those of this template, with nothing over anything else."""

from __future__ import annotations

import random
import re
from graphlib import CycleError
from itertools import combinations

import pytest

from docs import pictures
from docs.layers import Node, Size, drawn
from tests.stand_ins.stack import PROJECT, Json


@pytest.mark.parametrize("name", ["architecture", "machine"])
def test_the_committed_picture_is_of_what_is_deployed(template: Json, name: str) -> None:
    committed = (PROJECT / "docs" / f"{name}.svg").read_text()
    assert committed == getattr(pictures, name)(template), "run `python -m docs.pictures`"


def test_every_state_is_in_the_picture(template: Json) -> None:
    from infra.machine import entrance, failure, success, work

    picture = pictures.machine(template)
    for state in {**entrance(), **work("arn", {}), **success(), **failure()}:
        assert f">{state}</text>" in picture


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_no_two_nodes_touch_and_every_edge_joins_its_own(seed: int, across: bool) -> None:
    chance = random.Random(seed)
    sizes: dict[Node, Size] = {node: (chance.uniform(20, 200), chance.uniform(10, 60)) for node in range(25)}
    edges = [(tail, head) for tail, head in combinations(sizes, 2) if chance.random() < 0.08]
    drawing = drawn(sizes, edges, 30, across)
    for one, other in combinations(sizes, 2):
        (x, y), (to_x, to_y) = drawing.centres[one], drawing.centres[other]
        (wide, high), (as_wide, as_high) = sizes[one], sizes[other]
        assert abs(x - to_x) > (wide + as_wide) / 2 or abs(y - to_y) > (high + as_high) / 2
    for edge, path in zip(edges, drawing.paths, strict=True):
        numbers = [float(number) for number in re.findall(r"[-\d.]+", path)]
        for node, end, side in zip(edge, (numbers[:2], numbers[-2:]), (1, -1), strict=True):
            x, y = drawing.centres[node]
            wide, high = sizes[node]
            place = (x + side * wide / 2, y) if across else (x, y + side * high / 2)
            assert end == pytest.approx(place, abs=0.06)


def test_a_graph_with_a_cycle_is_refused() -> None:
    with pytest.raises(CycleError):
        drawn({"a": (1, 1), "b": (1, 1)}, [("a", "b"), ("b", "a")], 10)
