"""What an edit may say, and what its patterns match: as git reads the lines of a .gitignore file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core.edit import NAME_LIMIT, Content, Edit, Merge, check_name, matcher
from lambda_fn.core.errors import InvalidRequest


@pytest.mark.parametrize(
    ("pattern", "paths", "others"),
    [
        ("checkpoint-*", ["checkpoint-1/", "a/checkpoint-1/b", "checkpoint-"], ["checkpoint", "a/checkpoints"]),
        ("._*", ["._a", "a/._b", "._d/x"], ["a._b", "."]),
        ("/a", ["a", "a/", "a/b"], ["b/a"]),
        ("code/*.py", ["code/a.py"], ["code/b/a.py", "x/code/a.py"]),
        ("code/**", ["code/a", "code/b/c"], ["code/", "x/code/a"]),
        ("**/a", ["a", "b/a", "b/c/a/d"], ["ba"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b/c"], ["a/xb", "x/a/b"]),
        ("/**a", ["a", "ba/x"], ["b/a"]),
        ("a/**b", ["a/b", "a/xb"], ["a/x/b"]),
        ("a**b", ["ab", "c/axb"], ["a/b"]),
        ("/**", ["a", "a/b"], []),
        ("x/", ["x/", "x/a", "b/x/"], ["x", "b/x"]),
        ("[!a-c]?", ["dd", "x/ee"], ["aa", "d", "ddd"]),
        (r"\*", ["*"], ["a"]),
        ("a\nb", ["a\nb"], ["a"]),
        ("a[b", ["a[b"], ["ab"]),
    ],
)
def test_a_pattern_is_like_a_line_of_gitignore(pattern: str, paths: list[str], others: list[str]) -> None:
    assert [path for path in paths + others if matcher(pattern).match(path)] == paths


@pytest.mark.parametrize("pattern", ["", "/", "//", "!a", "..", "../a", "a/../b", "./a", "[b-a]"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidRequest, match="is no pattern of entries to remove"):
        Edit(drop=(pattern,))


_parts = st.text("ab.*?", min_size=1, max_size=4).filter(lambda part: part not in (".", "..") and "***" not in part)
_patterns = st.builds(
    lambda parts, front, back: front + "/".join(parts) + back,
    st.lists(st.one_of(_parts, st.just("**")), min_size=1, max_size=3),
    st.sampled_from(["", "/"]),
    st.sampled_from(["", "/"]),
).filter(lambda pattern: pattern.strip("/") != "**")
_paths = st.lists(st.text("ab.", min_size=1, max_size=2).filter(lambda part: part.strip(".")), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    return folder


@pytest.mark.needs("git")
@given(pattern=_patterns, paths=st.lists(_paths, min_size=1, max_size=8))
def test_git_reads_patterns_alike(repository: Path, pattern: str, paths: list[list[str]]) -> None:
    (repository / ".gitignore").write_text(f"{pattern}\n")
    files = sorted({"/".join(path) for path in paths})
    ran = subprocess.run(
        ["git", "-C", repository, "check-ignore", "--no-index", "--stdin"],
        input="\n".join(files),
        capture_output=True,
        text=True,
    )
    assert [file for file in files if matcher(pattern).match(file)] == ran.stdout.splitlines()


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "./a", "a//b", "..", "../a", "a/../b", "a\0b", "x" * (NAME_LIMIT + 1)]
)
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        check_name(name)
    with pytest.raises(InvalidRequest):
        Edit({name: Content.of(b"")})
    with pytest.raises(InvalidRequest):
        Edit(folders=frozenset({name}))


def test_what_is_no_text_is_no_name() -> None:
    with pytest.raises(InvalidRequest, match="cannot be a name in the archive"):
        check_name("\ud800")
    check_name(b"caf\xe9".decode("utf-8", "surrogateescape"))


def test_utf_8_that_was_read_as_bytes_is_refused_since_it_would_be_another_name_than_the_archives() -> None:
    check_name("é")
    with pytest.raises(InvalidRequest, match="set PYTHONUTF8=1"):
        check_name("é".encode().decode("ascii", "surrogateescape"))


def test_a_file_cannot_hold_another() -> None:
    for put, folders in (({"a", "a/b"}, ()), ({"a"}, ("a/b",)), ({"a"}, ("a",))):
        with pytest.raises(InvalidRequest, match="a cannot be a file and"):
            Edit({name: Content.of(b"") for name in put}, folders=frozenset(folders))
    Edit({"a": Content.empty_directory(), "a/b": Content.of(b"")}, folders=frozenset({"a"}))


def test_a_value_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="if_present must be replace, keep or error, not 'KEEP'"):
        Edit({"a": Content.of(b"")}, if_present="KEEP")  # type: ignore[arg-type]


def test_the_digest_tells_edits_apart_but_not_what_they_put_in() -> None:
    edits = [
        Edit({"a": Content.of(b"1")}),
        Edit({"b": Content.of(b"1")}),
        Edit({"a": Content.of(b"1")}, if_present="keep"),
        Edit({"a": Content.of(b"1")}, drop=("b",)),
        Edit({"a": Content.of(b"1")}, folders=frozenset({"b"})),
        Edit({"a": Content.of(b"1")}, strip_root=True),
    ]
    assert len({edit.digest for edit in edits}) == len(edits)
    assert edits[0].digest == Edit({"a": Content.of(b"2")}).digest


def test_what_is_merged_is_settled_by_what_is_held() -> None:
    merge = Merge.by(lambda held: (held or b"none") + b"!")
    assert not Edit({"a": merge}).settled
    assert list(merge.settled(b"1").open()) == [b"1!"]
    assert list(merge.settled(None).open()) == [b"none!"]
