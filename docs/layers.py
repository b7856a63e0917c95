"""A layered drawing of a graph without cycles: nodes in rows, edges as smooth curves from row to row.

The steps of Sugiyama, Tagawa and Toda (1981), each in its simplest form. A node's row is the first below all that lead
to it. An edge that passes a row has a place in it, as if it were a narrow node. Rows are ordered by their neighbours'
middles until no more edges uncross; then each row takes the places nearest to its neighbours that keep it apart.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import combinations, pairwise
from math import fsum
from typing import Hashable, Mapping, Sequence

Node = Hashable
Size = tuple[float, float]
Edge = tuple[Node, Node]
Point = tuple[float, float]

APART = 22.0
"""Between neighbours in a row."""
ROUNDS = 1000


@dataclass(frozen=True)
class Drawing:
    """Where the nodes' centres are, and the path of each edge, in SVG's words."""

    size: Size
    centres: Mapping[Node, Point]
    paths: Sequence[str]


def drawn(sizes: Mapping[Node, Size], edges: Sequence[Edge], between: float, across: bool = False) -> Drawing:
    """The graph from top to bottom, or from left to right, with rows so far `between`. Raises CycleError."""
    turned = {node: (high, wide) if across else (wide, high) for node, (wide, high) in sizes.items()}
    chains, rows = _rows(turned, edges)
    breadth = {node: turned[node][0] if node in turned else 0.0 for row in rows for node in row}
    links = [link for chain in chains for link in pairwise(chain)]
    _uncross(rows, links)
    along = _places(rows, links, breadth)
    depth, tops = 0.0, []
    for row in rows:
        thick = max(turned[node][1] for node in row if node in turned)
        tops.append((depth, depth + thick))
        depth += thick + between
    down = {node: tops[number] for number, row in enumerate(rows) for node in row}
    centres = {node: _turn((along[node], sum(down[node]) / 2), across) for node in turned}
    width = max(along[node] + breadth[node] / 2 for node in along)
    paths = [
        _path([(along[node], *down[node]) for node in chain], turned[chain[0]][1], turned[chain[-1]][1], across)
        for chain in chains
    ]
    return Drawing(_turn((width, depth - between), across), centres, paths)


def _rows(sizes: Mapping[Node, Size], edges: Sequence[Edge]) -> tuple[list[list[Node]], list[list[Node]]]:
    """Every edge as a chain of nodes, one in each row that it touches; and the rows."""
    before: dict[Node, set[Node]] = {node: set() for node in sizes}
    after: dict[Node, set[Node]] = defaultdict(set)
    for tail, head in edges:
        before[head].add(tail)
        after[tail].add(head)
    row: dict[Node, int] = {}
    order = list(TopologicalSorter(before).static_order())
    for node in order:
        row[node] = max((row[earlier] + 1 for earlier in before[node]), default=0)
    for node in reversed(order):  # what nothing leads to stands just above what it leads to
        if not before[node] and after[node]:
            row[node] = min(row[later] for later in after[node]) - 1
    rows: list[list[Node]] = [[] for _ in range(max(row.values()) + 1)]
    for node in sizes:
        rows[row[node]].append(node)
    chains: list[list[Node]] = []
    for number, (tail, head) in enumerate(edges):
        passed: list[Node] = [(number, between) for between in range(row[tail] + 1, row[head])]
        for between, passing in enumerate(passed, row[tail] + 1):
            rows[between].append(passing)
        chains.append([tail, *passed, head])
    return chains, rows


def _uncross(rows: list[list[Node]], links: Sequence[Edge]) -> None:
    """Order the rows in place: to their neighbours' middles, down and up, then by swaps, while that uncrosses edges."""
    above, below = _neighbours(links)
    best, fewest = [list(row) for row in rows], _crossings(rows, links)
    for turn in range(12):
        neighbours = below if turn % 2 else above
        for row in reversed(rows) if turn % 2 else rows:
            place = {node: number for other in rows for number, node in enumerate(other)}
            middle = {node: _mean([place[other] for other in neighbours[node]], place[node]) for node in row}
            row.sort(key=lambda node: middle[node])
        _swap(rows, above, below)
        crossings = _crossings(rows, links)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    for row, ordered in zip(rows, best, strict=True):
        row[:] = ordered


def _swap(rows: list[list[Node]], above: Mapping[Node, list[Node]], below: Mapping[Node, list[Node]]) -> None:
    better = True
    while better:
        better = False
        place = {node: number for row in rows for number, node in enumerate(row)}
        for row in rows:
            for left in range(len(row) - 1):
                one, other = row[left], row[left + 1]
                gain = sum(
                    (place[mine] > place[theirs]) - (place[mine] < place[theirs])
                    for side in (above, below)
                    for mine in side[one]
                    for theirs in side[other]
                )
                if gain > 0:
                    row[left], row[left + 1] = other, one
                    place[one], place[other] = left + 1, left
                    better = True


def _crossings(rows: list[list[Node]], links: Sequence[Edge]) -> int:
    place = {node: (number, at) for number, row in enumerate(rows) for at, node in enumerate(row)}
    ends = [(place[tail], place[head]) for tail, head in links]
    return sum(
        one[0] == other[0] and (one[1] - other[1]) * (to_one[1] - to_other[1]) < 0
        for (one, to_one), (other, to_other) in combinations(ends, 2)
    )


def _places(rows: list[list[Node]], links: Sequence[Edge], breadth: Mapping[Node, float]) -> dict[Node, float]:
    """The middles of the nodes along their rows. Long edges pull at themselves the most and so become straight."""
    weights: dict[Node, list[tuple[Node, float]]] = defaultdict(list)
    for tail, head in links:
        weight = {0: 2.0, 1: 1.0, 2: 60.0}[(breadth[tail] == 0) + (breadth[head] == 0)]
        weights[tail].append((head, weight))
        weights[head].append((tail, weight))
    pulls = {node: fsum(weight for _, weight in weights[node]) or 1.0 for row in rows for node in row}
    along: dict[Node, float] = dict.fromkeys(pulls, 0.0)
    for turn in range(ROUNDS):
        for row in reversed(rows) if turn % 2 else rows:
            wish = {
                node: (fsum(along[other] * weight for other, weight in weights[node]) / pulls[node], pulls[node])
                for node in row
            }
            along.update(_apart(row, wish, breadth))
    left = min(along[node] - breadth[node] / 2 for node in along)
    return {node: at - left for node, at in along.items()}


def _apart(
    row: Sequence[Node], wish: Mapping[Node, tuple[float, float]], breadth: Mapping[Node, float]
) -> dict[Node, float]:
    """The places nearest to the wished ones, by weight in least squares, that keep order and distance.

    Without the distances that is isotonic regression: neighbours that wish to pass one another meet in their mean.
    """
    offset, offsets = 0.0, [0.0]
    for one, other in pairwise(row):
        offset += (breadth[one] + breadth[other]) / 2 + APART
        offsets.append(offset)
    blocks: list[tuple[float, float, int]] = []
    for node, shift in zip(row, offsets, strict=True):
        at, weight = wish[node]
        total, count = (at - shift) * weight, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / weight:
            earlier, heavy, many = blocks.pop()
            total, weight, count = total + earlier, weight + heavy, count + many
        blocks.append((total, weight, count))
    moved = [total / weight for total, weight, count in blocks for _ in range(count)]
    return {node: at + shift for node, at, shift in zip(row, moved, offsets, strict=True)}


def _path(chain: Sequence[tuple[float, float, float]], tail: float, head: float, across: bool) -> str:
    """A line through every row that is touched, and curves between them; a chain's items are (along, top, bottom).

    It begins at the lower side of a node of the height `tail` and ends at the upper side of one of the height `head`.
    """

    def point(along: float, down: float) -> str:
        x, y = _turn((along, down), across)
        return f"{x:.1f} {y:.1f}"

    along, top, bottom = chain[0]
    path = [f"M{point(along, (top + bottom + tail) / 2)}L{point(along, bottom)}"]
    for to, top, ends in chain[1:]:
        half = (bottom + top) / 2
        path.append(f"C{point(along, half)} {point(to, half)} {point(to, top)}")
        along, bottom = to, ends
        path.append(f"L{point(to, bottom)}")
    path[-1] = f"L{point(along, (top + bottom - head) / 2)}"
    return "".join(path)


def _turn(point: tuple[float, float], across: bool) -> tuple[float, float]:
    return (point[1], point[0]) if across else point


def _neighbours(links: Sequence[Edge]) -> tuple[dict[Node, list[Node]], dict[Node, list[Node]]]:
    above: dict[Node, list[Node]] = defaultdict(list)
    below: dict[Node, list[Node]] = defaultdict(list)
    for tail, head in links:
        above[head].append(tail)
        below[tail].append(head)
    return above, below


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
