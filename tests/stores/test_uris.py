"""What counts as a path, and what never becomes one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lambda_fn import repack
from lambda_fn.core.errors import AccessDenied, InvalidRequest
from lambda_fn.stores import open_source, open_target


@pytest.mark.parametrize(
    "uri", ["S3://bucket/key", "s3a://bucket/key", "https://host/key", "file:///tmp/x", "s3:/b/k", "arn:aws:s3:::b/k"]
)
def test_what_is_meant_as_an_address_is_no_path(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for opened in (open_source, open_target):
        with pytest.raises(InvalidRequest, match="neither a path nor s3://bucket/key"):
            opened(uri)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["~/new/model.tar.gz", "a\0b", "\ud800"])
def test_what_no_file_can_be_called_or_a_shell_has_left_as_it_is_makes_no_folder(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for opened in (open_source, open_target):
        with pytest.raises(InvalidRequest, match=r"begins with ~|is no path"):
            opened(uri)
    with pytest.raises(InvalidRequest, match=r"begins with ~|is no path"):
        repack("model.tar.gz", "out.tar.gz", folders={"code": uri})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_is_no_place_for_an_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(AccessDenied, match=r"out\.tar\.gz cannot be written: no such file or directory; name another"):
        open_target("out.tar.gz")


@pytest.mark.parametrize(
    "path", ["./~/x.tar.gz", "~x.tar.gz", "./s3:/x.tar.gz", "a:b.tar.gz", "2024-01-01T10:00.tar.gz"]
)
def test_a_path_with_a_colon_or_a_tilde_is_one(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_bytes(b"x")
    source = open_source(path)
    assert source.read(0, 1) == b"x"
    source.close()
