"""Horizontal bars as a small SVG that reads well on light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, MARGIN, ROW, BAR = 880, 16, 26, 16
ROOM_FOR_VALUES = 150
LETTER = 7.8
"""Pixels that a letter of a bold label takes, in the widest of the usual fonts."""

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.title { font-size: 17px; font-weight: 600 } .group { font-weight: 600 }
.value, .note { fill: #59636e } .label { text-anchor: end }
rect { fill: #b6bec8 } .ours { fill: #1a7f5a } text.ours { font-weight: 600 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .value, .note { fill: #9198a1 } rect { fill: #59636e } .ours { fill: #3fb68b }
}
"""


@dataclass(frozen=True)
class Bar:
    """One bar: `size` gives its length, `value` is written after it."""

    label: str
    size: float
    value: str
    ours: bool = False


def bars(title: str, groups: Sequence[tuple[str, Sequence[Bar]]], note: str) -> str:
    """The SVG of groups of bars, all on one linear scale."""
    everyone = [bar for _, group in groups for bar in group]
    left = round(MARGIN + LETTER * max(len(bar.label) for bar in everyone) + 10)
    scale = (WIDTH - left - ROOM_FOR_VALUES) / max(bar.size for bar in everyone)
    body = [text(MARGIN, 30, title, "title")]
    y = 44
    for name, group in groups:
        y += ROW
        body.append(text(MARGIN, y, name, "group"))
        for bar in group:
            y += ROW
            kind = "ours" if bar.ours else ""
            body.append(text(left - 10, y, bar.label, f"label {kind}"))
            length = max(1.5, bar.size * scale)
            body.append(f'<rect class="{kind}" x="{left}" y="{y - 13}" width="{length:.1f}" height="{BAR}" rx="3"/>')
            body.append(text(left + length + 8, y, bar.value, "value"))
        y += 8
    body.append(text(MARGIN, y + ROW, note, "note"))
    height = y + ROW + 18
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" aria-label="{escape(title)}">\n<style>{STYLE}</style>\n' + "\n".join(body) + "\n</svg>\n"
    )


def text(x: float, y: float, words: str, kind: str) -> str:
    """A line of text with its baseline at y."""
    return f'<text class="{kind.strip()}" x="{x:.1f}" y="{y}">{escape(words)}</text>'
