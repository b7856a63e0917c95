"""Draws a graft and a splice bit by bit, from small gzip files that are made here and read back by zlib.

The splice's stream is encoded by hand, since only then is it known where its blocks begin.
"""

from __future__ import annotations

import io
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal

from lambda_fn import repack

Kind = Literal["old", "new"]

FONT = 'font-family="ui-sans-serif, system-ui, sans-serif" font-size="14"'
STYLE = """
    .old { fill: #b6d4f0; } .new { fill: #fb8f44; }
    .cell { stroke: #ffffff; } .byte { stroke: #1f2328; fill: none; stroke-width: 1.4; }
    text { fill: #1f2328; text-anchor: middle; } .left { text-anchor: start; } .word { font-weight: 600; }
    .small { font-size: 12px; fill: #57606a; } .mono { font-family: ui-monospace, monospace; font-size: 12px; }
"""
WIDTH, MARGIN, BIT, HIGH = 860, 20, 17, 28
RAW = -15


@dataclass(frozen=True)
class Piece:
    """A stretch of a row: bytes in a box so wide, or, without a width, single bits; and what they mean."""

    kind: Kind
    text: str
    meaning: str
    width: float = 0


@dataclass(frozen=True)
class Row:
    """Pieces that follow each other from a place on, below a line of words."""

    words: str
    pieces: Sequence[Piece]
    begins: float = 0


def graft() -> str:
    """The bytes of an archive before and after, those in the middle left out."""
    before, after = _grafted()
    head, tail = 10, len(before) - 8
    prefix_at = after.index(b"\0", head) + 1
    rest_at = len(after) - (len(before) - head)
    prefix, rest = after[prefix_at:rest_at], before[head:tail]
    if after[rest_at:-8] != rest or not prefix.endswith(b"\0\0\xff\xff"):
        raise AssertionError("this is no graft")
    kept = f"{_hex(rest[:8])} … {_hex(rest[-4:])}"
    rows = [
        Row(
            "The model",
            [
                Piece("old", _hex(before[:head]), "header", 230),
                Piece("old", kept, "deflate data: gigabytes", 390),
                Piece("old", _hex(before[tail:]), "CRC-32, length", 190),
            ],
        ),
        Row(
            "The output",
            [
                Piece("new", _hex(after[:head]), "header, with a comment", 230),
                Piece("new", f"{after[head : head + 17].decode()}…", "the mark", 160),
                Piece("new", f"… {_hex(prefix[-4:])}", "our entries, deflated; a full flush", 280),
                Piece("old", "…", "", 60),
            ],
        ),
        Row(
            "",
            [Piece("old", kept, "the same bytes", 390), Piece("new", _hex(after[-8:]), "CRC-32, length of both", 190)],
            230,
        ),
    ]
    note = "00 00 ff ff ends an empty stored block: a byte boundary, and nothing behind it refers to what is before it"
    return _svg("A graft: new bytes in front, the old ones as they are", rows, note)


def _grafted() -> tuple[bytes, bytes]:
    """An archive without and with hyperparameters, encoded by hand, so that its bytes are the same everywhere."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("model.bin")
        entry.size = 1000
        tar.addfile(entry, io.BytesIO(b"weights " * 125))
    data = buffer.getvalue()
    trailer = struct.pack("<II", zlib.crc32(data), len(data))
    with tempfile.TemporaryDirectory() as folder:
        model, output = Path(folder, "model.tar.gz"), Path(folder, "output.tar.gz")
        model.write_bytes(bytes.fromhex("1f8b08000000000000ff") + packed(block(data, final=True)) + trailer)
        repack(str(model), str(output), {"hyperparameters.json": b'{"depth": 6}'})
        return model.read_bytes(), output.read_bytes()


def splice() -> str:
    """The bits where old and new data meet, of a stream whose middle is replaced."""
    head, gone, tail = block(b"first, "), block(b"old, "), block(b"last", final=True)
    head_end, tail_begin = len(head), len(head + gone)
    padding, phase = (-head_end - 3) % 8, tail_begin % 8
    fillers = next(count for count in range(4) if 10 * count % 8 == phase)
    new = aligned(aligned(head) + block(b"new, "))
    spliced = new + fillers * EMPTY + tail
    if zlib.decompress(packed(spliced), RAW) != b"first, new, last":
        raise AssertionError("this is no splice")
    shared = tail[: 8 - phase]
    rows = [
        Row(
            f"The head ends at bit {head_end % 8} of a byte. An empty stored block brings it to a byte boundary",
            [
                Piece("old", head[head_end // 8 * 8 - 8 :], "the head's last bits"),
                Piece("new", "000" + "0" * padding, "stored; padding"),
                Piece("new", "00 00 ff ff", "its length, twice", 110),
                Piece("new", "…", "the neighbourhood, encoded anew: 100 KB", 330),
            ],
        ),
        Row(
            f"The tail begins at bit {phase} of a byte of the source",
            [
                Piece("old", (head + gone)[tail_begin // 8 * 8 - 8 :], "the last bits of what goes"),
                Piece("old", shared, "tail"),
                Piece("old", "…", "gigabytes", 200),
            ],
        ),
        Row(
            f"Empty blocks of {len(EMPTY)} bits bring the new data to bit {phase}, too. One byte is new and old",
            [
                Piece("new", "… 00 00 ff ff", "byte boundary", 110),
                *(Piece("new", EMPTY, "an empty block") for _ in range(fillers)),
                Piece("old", shared, "tail"),
                Piece("old", "…", "copied as it is, no bit shifted", 200),
            ],
        ),
    ]
    note = "dark lines are byte boundaries; the lowest bit of a byte stands first, as deflate reads it"
    return _svg("A splice: blocks begin at any bit, and yet nothing is shifted", rows, note)


EMPTY = "0" + "10" + "0000000"
"""A block that holds nothing: not the last one, fixed codes (01, low bit first), end of block."""


def block(text: bytes, final: bool = False) -> str:
    """A deflate block of fixed codes, as bits in their order; literals below 144 have eight bits, from 00110000 on."""
    return ("1" if final else "0") + "10" + "".join(f"{0x30 + letter:08b}" for letter in text) + "0000000"


def bits(data: bytes) -> str:
    """The bits of bytes in deflate's order."""
    return "".join(f"{byte:08b}"[::-1] for byte in data)


def aligned(stream: str) -> str:
    """The stream, ended on a byte boundary by an empty stored block."""
    padded = stream + "000"
    return padded + "0" * (-len(padded) % 8) + bits(b"\0\0\xff\xff")


def packed(stream: str) -> bytes:
    """The bytes of bits, the last one filled up with zeros."""
    return bytes(int(stream[at : at + 8].ljust(8, "0")[::-1], 2) for at in range(0, len(stream), 8))


def _hex(data: bytes) -> str:
    return data.hex(" ")


def _svg(title: str, rows: Sequence[Row], note: str) -> str:
    body, y = [], 8.0
    for row in rows:
        if row.words:
            y += 24
            body.append(f'<text class="left word" x="{MARGIN}" y="{y:g}">{escape(row.words)}</text>')
            y += 10
        body += _row(row, y)
        y += HIGH + 26
    body.append(f'<text class="left small" x="{MARGIN}" y="{y + 14:g}">{escape(note)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 30:g}" {FONT}>\n'
        f"  <title>{escape(title)}</title>\n  <style>{STYLE}  </style>\n"
        f'  <rect width="{WIDTH}" height="{y + 30:g}" rx="8" fill="#ffffff"/>\n'
        + "".join(f"  {line}\n" for line in body)
        + "</svg>\n"
    )


def _row(row: Row, y: float) -> Iterator[str]:
    x, bit, boundaries = MARGIN + row.begins, 0, []
    for piece in row.pieces:
        begin = x
        if piece.width:
            yield _cell(piece.kind, piece.text, x, y, piece.width)
            x, bit = x + piece.width, 0
            boundaries += [begin, x]
        else:
            for digit in piece.text:
                yield _cell(piece.kind, digit, x, y, BIT)
                boundaries += [] if bit % 8 else [x]
                x, bit = x + BIT, bit + 1
        yield f'<text class="small" x="{(begin + x) / 2:g}" y="{y + HIGH + 15:g}">{escape(piece.meaning)}</text>'
    for at in sorted(set(boundaries)):
        yield f'<path class="byte" d="M{at:g} {y - 3:g}v{HIGH + 6}"/>'


def _cell(kind: Kind, text: str, x: float, y: float, width: float) -> str:
    middle, low = x + width / 2, y + HIGH / 2 + 4.5
    return (
        f'<rect class="{kind} cell" x="{x:g}" y="{y:g}" width="{width:g}" height="{HIGH}"/>'
        f'<text class="mono" x="{middle:g}" y="{low:g}">{escape(text)}</text>'
    )
