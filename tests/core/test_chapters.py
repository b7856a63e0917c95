"""The table of contents: every chapter is in it, after those that it needs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from lambda_fn import core

FOLDER = Path(core.__file__).parent
CONTENTS, WORDS = (core.__doc__ or "").split("\nTen words\n")
CHAPTERS = re.findall(r"^    (\w+) {2,}\S", CONTENTS, re.MULTILINE)


def test_every_chapter_is_in_the_table_of_contents_once() -> None:
    assert sorted(CHAPTERS) == sorted(file.stem for file in FOLDER.glob("*.py") if file.stem != "__init__")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_needs_only_those_before_it(chapter: str) -> None:
    needed: set[str] = set()
    for node in ast.walk(ast.parse((FOLDER / f"{chapter}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            needed |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
    assert needed <= set(CHAPTERS[: CHAPTERS.index(chapter)])


def test_the_words_are_ten() -> None:
    assert len(re.findall(r"^    (\w+) {2,}\S", WORDS, re.MULTILINE)) == 10
