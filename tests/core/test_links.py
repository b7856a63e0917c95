"""What is written through a link is known for what it is."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

import pytest

from lambda_fn.core import links
from lambda_fn.core.links import DEPTH, FOLLOWED, Links
from lambda_fn.core.tar import Entry, Stream, entries
from tests.archives import Part, entry

WANTED = ("code/inference.py", "hyperparameters.json")


def link(name: str, target: str, kind: bytes = b"2") -> Part:
    return entry(name, kind=kind, link=target)


def read(parts: Iterable[Part]) -> list[Entry]:
    return list(entries(Stream(part.blocks for part in parts)))


def led(*parts: Part) -> str | None:
    """Where the last of the entries is led to."""
    *before, last = read(parts)
    seen = Links()
    for one in before:
        assert seen.leads(one, WANTED) is None
        seen.see(one)
    return seen.leads(last, WANTED)


@pytest.mark.parametrize(
    ("before", "name"),
    [
        ([link("current", ".")], "current/hyperparameters.json"),
        ([link("./current/", "./")], "./current//hyperparameters.json"),
        ([link("a", "b"), link("b", ".")], "a/hyperparameters.json"),
        ([link("b", "."), link("a", "b/b/b")], "a/b/hyperparameters.json"),
        ([link("a/b", "..")], "a/b/hyperparameters.json"),
        ([link("src", "code")], "src/inference.py"),
        ([link("latest", "hyperparameters.json")], "latest"),
        ([link("newest", "latest"), link("latest", "hyperparameters.json")], "newest"),
        ([link("model", "/opt/ml/model")], "model/hyperparameters.json"),
        ([link("a", "../model")], "a/hyperparameters.json"),
        ([link("a", "b"), link("b", "a")], "a/hyperparameters.json"),
        ([link("a", "x/..")], "a/hyperparameters.json"),
        ([link("x/a", "../y/../..")], "x/a/hyperparameters.json"),
    ],
)
def test_what_is_written_through_links_is_known(before: list[Part], name: str) -> None:
    assert led(*before, entry(name, b"x")) in WANTED
    assert led(*before, link("other", name, kind=b"1")) in WANTED


@pytest.mark.parametrize(
    "parts",
    [
        [entry("hyperparameters.json", b"x")],
        [link("a", "."), entry("hyperparameters.json", b"x")],
        [link("a", "."), entry("a/weights", b"x")],
        [link("a", "b"), entry("a/hyperparameters.json", b"x")],
        [link("a", "hyperparameters.json"), entry("b", b"x")],
        [link("a", "hyperparameters.json"), link("a", "weights")],
        [link("lib.so", "lib.so.1"), entry("lib.so.1", b"x")],
        [link("out", "/etc"), entry("out/passwd", b"x")],
        [link("loop", "loop"), entry("loop/x", b"x")],
        [entry("current/hyperparameters.json", b"x"), link("current", ".")],
    ],
)
def test_what_leads_elsewhere_does_no_harm(parts: list[Part]) -> None:
    assert led(*parts) is None


def test_links_take_constant_memory_and_none_is_believed_harmless_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "REMEMBERED", 200_000)
    seen = Links()
    (before,) = read([entry("a/hyperparameters.json", b"x")])
    tracemalloc.start()
    for at in range(3):
        for one in read(link(f"{at}/{number}", "weights") for number in range(1000)):
            seen.see(one)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 400_000
    assert seen.leads(before, WANTED) == "hyperparameters.json"


def test_a_deep_path_is_not_followed_far() -> None:
    assert led(link("a", "b"), entry("d/" * 5000 + "hyperparameters.json")) == "hyperparameters.json"
    assert led(link("a", "b"), entry("d/" * 5000 + "x")) is None


def chain(length: int) -> list[Part]:
    return [link("0", "."), *(link(str(at), str(at - 1)) for at in range(1, length))]


@pytest.mark.parametrize("length", [1, 39, 40, 41, 60])
def test_as_many_links_are_followed_as_linux_does(length: int) -> None:
    assert led(*chain(length), entry(f"{length - 1}/hyperparameters.json")) == "hyperparameters.json"
    assert led(*chain(length), entry(f"{length - 1}/y/hyperparameters.json")) == (
        None if length <= FOLLOWED else "hyperparameters.json"
    )


def test_as_many_folders_are_followed_as_it_takes() -> None:
    deep = "d/" * DEPTH + "hyperparameters.json"
    assert led(link("a", "b"), entry(deep)) is None
    assert led(link("a", "b"), entry(f"d/{deep}")) == "hyperparameters.json"
