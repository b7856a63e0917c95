"""What is generated is up to date, and what is written leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.__main__ import HERE, generated
from docs.errors import raised
from tests.stand_ins.stack import PROJECT, Json

WRITTEN = sorted([*PROJECT.glob("*.md"), *HERE.glob("*.md"), *PROJECT.glob("benchmarks/results/*.md")])


@pytest.mark.slow
def test_what_is_generated_is_up_to_date(template: Json) -> None:
    stale = [name for name, content in generated(template).items() if (HERE / name).read_text() != content]
    assert not stale, "run `make docs`"


@pytest.mark.parametrize("error", raised(), ids=lambda error: error.__name__)
def test_every_error_says_what_happened_and_what_to_do(error: type[Exception]) -> None:
    meaning, _, cure = (error.__doc__ or "").partition("\n\n")
    assert meaning.strip().endswith(".")
    assert cure.strip().endswith(".")


def links(page: Path) -> Iterator[str]:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return (link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link)


def test_every_page_is_found_from_the_readme() -> None:
    found, waiting = set[Path](), [PROJECT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in found and page.suffix == ".md":
            found.add(page)
            waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
    assert not [str(page.relative_to(PROJECT)) for page in WRITTEN if page not in found]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in links(page):
        place, _, heading = link.partition("#")
        target = page.parent / place if place else page
        assert target.exists(), link
        headings = [re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in target.read_text().splitlines()]
        assert not heading or any(line.lstrip("-").strip("-") == heading for line in headings), link
