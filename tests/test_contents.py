"""What is put in is what the caller's files and folders hold: nothing is left out uncounted, nothing read too late."""

from __future__ import annotations

import io
import os
import socket
import tarfile
from pathlib import Path
from typing import Any

import pytest

from lambda_fn import contents
from lambda_fn.contents import contents_of_file, contents_of_folder, puts
from lambda_fn.core.edit import Content
from lambda_fn.core.errors import (
    AccessDenied,
    InvalidArchive,
    InvalidRequest,
    RepackError,
    SourceChanged,
    SourceNotFound,
)
from lambda_fn.stores.s3 import S3Access
from tests.deployment import Deployment


def held(content: Content) -> bytes:
    data = b"".join(content.open())
    assert data == b"".join(content.open())
    assert len(data) == content.size
    return data


def read(found: dict[str, Content]) -> dict[str, bytes | None]:
    return {path: None if content.directory else held(content) for path, content in found.items()}


def modes(found: dict[str, Content]) -> dict[str, int | None]:
    return {path: content.mode for path, content in found.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    src = tmp_path / "src"
    (src / "lib").mkdir(parents=True)
    (src / "inference.py").write_text("pass")
    (src / "lib/serve").write_text("#!/bin/sh")
    (src / "lib/serve").chmod(0o755)
    (src / "inference.py").chmod(0o640)
    return src


@pytest.mark.parametrize("small", [0, 1 << 20])
def test_a_local_file_brings_its_permissions(small: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "SMALL", small)
    file = tmp_path / "adapter.bin"
    file.write_bytes(os.urandom(200_000))
    file.chmod(0o4750)
    content = contents_of_file(str(file))
    assert held(content) == file.read_bytes()
    assert content.mode == 0o750
    assert contents_of_file(str(file)).identity == content.identity


def test_a_large_file_is_not_held_and_must_stay_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "adapter.bin"
    file.write_bytes(bytes(contents.SMALL + 1))
    content, before = contents_of_file(str(file)), file.stat()
    assert content.identity == Content.of(file.read_bytes()).identity
    content = contents_of_file(str(file))
    file.write_bytes(b"x" * (contents.SMALL + 1))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    for ask in (lambda: content.identity, lambda: held(content)):
        with pytest.raises(SourceChanged, match=r"adapter\.bin"):
            ask()
    file.unlink()
    with pytest.raises(RepackError, match=r"adapter\.bin"):
        held(content)


def test_a_folder_is_all_that_is_in_it(folder: Path) -> None:
    (folder / "empty/inner").mkdir(parents=True)
    (folder / "empty/inner").chmod(0o700)
    found, left_out = contents_of_folder(str(folder))
    assert left_out == 0
    assert read(found) == {"empty/inner": None, "inference.py": b"pass", "lib/serve": b"#!/bin/sh"}
    assert modes(found) == {"empty/inner": 0o700, "inference.py": 0o640, "lib/serve": 0o755}


def test_a_folder_with_nothing_in_it_is_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found, _ = contents_of_folder(str(tmp_path / "empty"))
    assert read(found) == {"": None}
    assert list(puts({"code": f"{tmp_path}/empty/"}, {})[0]) == ["code"]
    assert puts({".": str(tmp_path / "empty")}, {}) == ({}, 0)


def test_a_folder_holds_few_bytes_and_reads_the_others_late(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "HELD", 10)
    found, _ = contents_of_folder(str(folder))
    for path in found:
        (folder / path).unlink()
    late = [path for path, content in found.items() if _fails(content)]
    assert len(late) == 1


def _fails(content: Content) -> bool:
    try:
        held(content)
    except RepackError:
        return True
    return False


def test_links_are_followed_as_the_sdk_does(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/util.py").write_text("u")
    (folder / "common").symlink_to("../shared")
    (folder / "lib/main.py").symlink_to("../inference.py")
    found, _ = contents_of_folder(str(folder))
    assert read(found) == {
        "common/util.py": b"u",
        "inference.py": b"pass",
        "lib/main.py": b"pass",
        "lib/serve": b"#!/bin/sh",
    }
    assert found["lib/main.py"].mode == 0o640


@pytest.mark.parametrize(
    ("place", "target"), [("lost", "nowhere"), ("lost", "lost"), ("lib/lost", ".."), ("lib/lost", "../lib")]
)
def test_a_link_that_leads_nowhere_or_back_is_named(place: str, target: str, folder: Path) -> None:
    (folder / place).symlink_to(target)
    with pytest.raises(InvalidRequest, match=f"{place} "):
        contents_of_folder(str(folder))


def test_what_is_neither_file_nor_folder_is_named(folder: Path) -> None:
    os.mkfifo(folder / "lib/pipe")
    with pytest.raises(InvalidRequest, match="lib/pipe"):
        contents_of_folder(str(folder))
    (folder / "lib/pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        with pytest.raises(InvalidRequest, match="/s is a socket"):
            contents_of_folder(str(folder))


def test_what_may_not_be_read_is_named(folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (folder / "lib/serve").chmod(0)
    with pytest.raises(AccessDenied, match="lib/serve"):
        contents_of_folder(str(folder))


JUNK = {
    ".git/config": b"secret",
    ".git/refs/x": b"1",
    "lib/__pycache__/x.pyc": b"1",
    ".DS_Store": b"1",
    "._inference.py": b"1",
    ".ipynb_checkpoints/a-checkpoint.py": b"1",
    "lib/.mypy_cache/3.11/x.data.json": b"1",
    ".svn/wc.db": b"1",
}


def _with_junk(folder: Path) -> None:
    for path, data in JUNK.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def test_junk_is_left_out_and_counted_unless_everything_is_wanted(folder: Path) -> None:
    _with_junk(folder)
    found, left_out = contents_of_folder(str(folder))
    assert (sorted(found), left_out) == (["inference.py", "lib/serve"], len(JUNK))
    found, left_out = contents_of_folder(str(folder), everything=True)
    assert (set(found), left_out) == ({"inference.py", "lib/serve", *JUNK}, 0)
    found, left_out = contents_of_folder(str(folder / ".git"))
    assert (len(found), left_out) == (2, 0)  # the folder that was asked for


def test_a_folder_that_is_too_large_is_another_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "FILES_LIMIT", 2)
    with pytest.raises(InvalidRequest, match="more than 2 files"):
        contents_of_folder(str(folder))


def test_what_does_not_exist_is_named(tmp_path: Path) -> None:
    for call in (contents_of_file, contents_of_folder):
        with pytest.raises(SourceNotFound, match=f"{tmp_path}/nowhere"):
            call(f"{tmp_path}/nowhere")
        with pytest.raises(SourceNotFound, match=f"{tmp_path}/nowhere"):
            call(f"{tmp_path}/nowhere.tar.gz")


@pytest.mark.parametrize("uri", ["S3://bucket/key", "s3a://bucket/key", "https://host/key", "arn:aws:s3:::bucket/key"])
def test_what_is_meant_as_an_address_is_no_path(uri: str) -> None:
    for call in (contents_of_file, contents_of_folder):
        for given in (uri, f"{uri}.tar.gz"):
            with pytest.raises(InvalidRequest, match="neither a path nor s3://bucket/key"):
                call(given)


def test_a_file_is_no_folder(folder: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"inference\.py is a file"):
        contents_of_folder(str(folder / "inference.py"))


def tar(file: Path, *infos: tuple[str, bytes, bytes, str]) -> str:
    """A .tar.gz of entries by name, type, data and link."""
    with tarfile.open(file, "w:gz") as archive:
        for name, kind, data, link in infos:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname, info.mode = kind, len(data), link, 0o751
            archive.addfile(info, io.BytesIO(data))
    return str(file)


def test_a_tar_gz_is_the_folder_that_is_packed_in_it(folder: Path, tmp_path: Path) -> None:
    _with_junk(folder)
    (folder / "empty").mkdir()
    with tarfile.open(tmp_path / "sourcedir.tar.gz", "w:gz") as archive:
        archive.add(folder, ".")
    unpacked, left_out = contents_of_folder(str(folder))
    found, also_left_out = contents_of_folder(str(tmp_path / "sourcedir.tar.gz"))
    assert read(found) == read(unpacked)
    assert modes(found) == modes(unpacked)
    assert left_out == also_left_out
    assert held(puts({"a": str(tmp_path / "sourcedir.tar.gz")}, {})[0]["a"]).startswith(b"\x1f\x8b")


def test_links_in_a_tar_gz_are_followed(tmp_path: Path) -> None:
    archive = tar(
        tmp_path / "s.TGZ",
        ("a/x", b"0", b"old", ""),
        ("a/x", b"0", b"x", ""),
        ("hard", b"1", b"", "a/x"),
        ("to", b"2", b"", "through/x"),
        ("through", b"2", b"", "./a"),
        ("b/up", b"2", b"", "../a/x"),
    )
    assert read(contents_of_folder(archive)[0]) == dict.fromkeys(["a/x", "b/up", "hard", "through/x", "to"], b"x")


@pytest.mark.parametrize(
    "entries",
    [
        [("link", b"2", b"", "nowhere")],
        [("link", b"2", b"", "/etc/passwd")],
        [("link", b"2", b"", "../x"), ("x", b"0", b"", "")],
        [("link", b"2", b"", "link")],
        [("link", b"2", b"", "."), ("x", b"0", b"", "")],
        [("a/link", b"2", b"", "../b"), ("b/back", b"2", b"", "../a")],
        [("link", b"1", b"", "later"), ("later", b"0", b"", "")],
        [("link", b"6", b"", "")],
        [("link", b"3", b"", "")],
    ],
)
def test_what_cannot_be_put_in_from_a_tar_gz_is_named(entries: list[Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"link in .*s\.tar\.gz"):
        contents_of_folder(tar(tmp_path / "s.tar.gz", *entries))


def test_a_tar_gz_must_be_intact_and_small_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Path(tar(tmp_path / "s.tar.gz", ("x", b"0", os.urandom(5000), "")))
    monkeypatch.setattr(contents, "UNPACKED_LIMIT", 4999)
    with pytest.raises(InvalidRequest, match="unpack it"):
        contents_of_folder(str(archive))
    monkeypatch.setattr(contents, "UNPACKED_LIMIT", 5000)
    assert contents_of_folder(str(archive))[0]["x"].mode == 0o751
    data = bytearray(archive.read_bytes())
    data[-8] ^= 1
    archive.write_bytes(data)
    with pytest.raises(InvalidArchive, match=r"s\.tar\.gz: "):
        contents_of_folder(str(archive))


def test_puts_are_files_and_folders_by_their_names(folder: Path) -> None:
    file = str(folder / "inference.py")
    found, _ = puts({"x.py": file, "code/": str(folder)}, {"other": f"{folder}/lib"})
    assert sorted(found) == ["code/inference.py", "code/lib/serve", "other/serve", "x.py"]
    assert sorted(puts({".": str(folder)}, {})[0]) == ["inference.py", "lib/serve"]


def test_a_name_with_a_slash_behind_it_asks_for_a_folder(folder: Path, tmp_path: Path) -> None:
    archive = tar(tmp_path / "s.tar.gz", ("x", b"0", b"1", ""))
    assert read(puts({"code/": archive}, {})[0]) == {"code/x": b"1"}
    with pytest.raises(InvalidRequest, match=r"inference\.py is a file"):
        puts({"code/": str(folder / "inference.py")}, {})


def test_what_is_held_has_one_limit_for_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "HELD", 10)
    file = folder / "inference.py"
    found, _ = puts({"1": str(file), "2": str(file), "3": str(file)}, {"lib": str(folder / "lib")})
    for path in (file, folder / "lib/serve"):
        path.unlink()
    assert [name for name, content in found.items() if _fails(content)] == ["3", "lib/serve"]


def test_an_entry_given_twice_is_refused_since_one_would_be_lost(folder: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"code/inference\.py is given twice"):
        puts({"code/inference.py": str(folder / "lib/serve")}, {"code": str(folder)})


# In S3


@pytest.fixture
def s3(deployment: Deployment) -> S3Access:
    return S3Access(deployment.client)


def upload(deployment: Deployment, objects: dict[str, bytes]) -> None:
    for key, data in objects.items():
        deployment.client.put_object(Bucket=deployment.models, Key=key, Body=data)


@pytest.mark.parametrize("small", [0, 1 << 20])
def test_an_object_has_no_mode(
    small: int, deployment: Deployment, s3: S3Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "SMALL", small)
    upload(deployment, {"a b+c.bin": b"x" * 100_000})
    content = contents_of_file(f"s3://{deployment.models}/a b+c.bin", s3)
    assert held(content) == b"x" * 100_000
    assert content.mode is None


def test_an_object_that_is_overwritten_has_changed(
    deployment: Deployment, s3: S3Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "SMALL", 0)
    upload(deployment, {"src/a": b"1"})
    file = contents_of_file(f"s3://{deployment.models}/src/a", s3)
    listed = contents_of_folder(f"s3://{deployment.models}/src/", s3)[0]["a"]
    upload(deployment, {"src/a": b"2"})
    for content in (file, listed):
        with pytest.raises(SourceChanged):
            held(content)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_prefix_is_a_folder(slash: str, deployment: Deployment, s3: S3Access) -> None:
    upload(
        deployment,
        {"src/a.py": b"a", "src/lib/b c.py": b"b", "src/empty/": b"", "src/lib/": b"", "src.bak/x": b"not this"},
    )
    upload(deployment, {f"src/{path}": data for path, data in JUNK.items()})
    found, left_out = contents_of_folder(f"s3://{deployment.models}/src{slash}", s3)
    assert read(found) == {"a.py": b"a", "empty": None, "lib/b c.py": b"b"}
    assert left_out == len(JUNK)
    assert len(contents_of_folder(f"s3://{deployment.models}/src/", s3, everything=True)[0]) == 3 + len(JUNK)


def test_a_long_listing_is_read_to_its_end(
    deployment: Deployment, s3: S3Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(deployment, {f"src/{at}": b"" for at in range(5)})
    pages = deployment.client.list_objects_v2
    monkeypatch.setattr(deployment.client, "list_objects_v2", lambda **arguments: pages(**arguments, MaxKeys=2))
    assert len(contents_of_folder(f"s3://{deployment.models}/src/", s3)[0]) == 5
    monkeypatch.setattr(contents, "FILES_LIMIT", 4)
    with pytest.raises(InvalidRequest, match="more than 4 files"):
        contents_of_folder(f"s3://{deployment.models}/src/", s3)


def test_a_prefix_without_objects_or_with_impossible_ones_is_named(deployment: Deployment, s3: S3Access) -> None:
    with pytest.raises(SourceNotFound, match="nothing below"):
        contents_of_folder(f"s3://{deployment.models}/nowhere/", s3)
    with pytest.raises(SourceNotFound, match="does not exist"):
        contents_of_folder(f"s3://{deployment.models}-nowhere/src/", s3)
    with pytest.raises(SourceNotFound, match="give an existing file to put in, or end the URI of a folder with /"):
        puts({"code": f"s3://{deployment.models}/src"}, {}, s3)
    upload(deployment, {"src/a/": b"not nothing"})
    with pytest.raises(InvalidRequest, match="src/a/ is an object named like a folder"):
        contents_of_folder(f"s3://{deployment.models}/src/", s3)


def test_a_tar_gz_in_s3_is_a_folder(deployment: Deployment, s3: S3Access, tmp_path: Path) -> None:
    upload(deployment, {"sourcedir.tar.gz": Path(tar(tmp_path / "s.tar.gz", ("x", b"0", b"1", ""))).read_bytes()})
    assert read(contents_of_folder(f"s3://{deployment.models}/sourcedir.tar.gz", s3)[0]) == {"x": b"1"}
