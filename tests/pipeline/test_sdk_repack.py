"""Our `repack_model` beside the installed SDK's: the same calls, and what comes of them.

A case in which they differ on purpose names rows of the table in docs/dummy-training.md.
"""

from __future__ import annotations

import gzip
import io
import os
import random
import re
import shutil
import stat
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sagemaker", reason="the SageMaker SDK is in environments of its own")

from lambda_fn.contract import RepackError
from lambda_fn.pipeline import sdk
from lambda_fn.pipeline.sdk_repack import install, repack_model

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own

MODULE = import_module("sagemaker.core.common_utils" if sdk.V3 else "sagemaker.utils")
THEIRS = MODULE.repack_model
ROLE = "arn:aws:iam::123456789012:role/pipeline"
DOCS = Path(__file__).parents[2] / "docs/dummy-training.md"

# Archives


def entry(name: str, data: bytes = b"", mode: int = 0o644, **more: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), mode, 1_700_000_000
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=kind, linkname=target)


def folder(name: str, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=tarfile.DIRTYPE, mode=mode)


def tar_gz(*entries: tuple[tarfile.TarInfo, bytes], format: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=format) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


WEIGHTS = entry("model.bin", bytes(range(256)) * 64)
OLD = entry("code/inference.py", b"old\n")
OLD_MORE = entry("code/old.py", b"old, too\n")
OLD_LIB = entry("code/lib/kept/__init__.py", b"kept\n")
LONG = "deep/" * 40 + "weights.bin"


def damaged(at: int, data: bytes) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


ARCHIVES: dict[str, bytes] = {
    "plain": tar_gz(WEIGHTS, OLD, OLD_MORE, OLD_LIB),
    "without code": tar_gz(WEIGHTS),
    "empty": tar_gz(),
    "dotted": tar_gz(folder("."), entry("./model.bin", b"w"), folder("./code"), entry("./code/inference.py", b"old")),
    "folders": tar_gz(folder("code"), OLD, folder("empty"), folder("a"), folder("a/b"), entry("a/b/c", b"c")),
    "links": tar_gz(WEIGHTS, link("latest", "model.bin"), link("same", "model.bin", tarfile.LNKTYPE), OLD),
    "twice": tar_gz(entry("model.bin", b"first"), WEIGHTS, entry("code/inference.py", b"older"), OLD),
    "long pax": tar_gz(entry(LONG, b"w"), entry("modèle ✓.bin", b"w"), OLD, format=tarfile.PAX_FORMAT),
    "long gnu": tar_gz(entry(LONG, b"w"), entry("modèle ✓.bin", b"w"), OLD),
    "two members": gzip.compress(b"", 1) + tar_gz(WEIGHTS, OLD),
    "private": tar_gz(entry("model.bin", b"w", 0o400), folder("run", 0o700), entry("run/it", b"x", 0o777), OLD),
    "library": tar_gz(WEIGHTS, entry("code/lib/shared/old.py", b"old"), entry("code/lib/tool.py", b"old tool")),
    "script elsewhere": tar_gz(WEIGHTS, entry("code/src/serve.py", b"serve")),
    "crc": damaged(-8, tar_gz(WEIGHTS, OLD)),
    "trailing": tar_gz(WEIGHTS, OLD) + b"junk",
    "cut": tar_gz(WEIGHTS, OLD)[:-100],
    "no gzip": b"not an archive",
    "link out": tar_gz(WEIGHTS, link("secret", "../../etc/passwd")),
    "absolute link": tar_gz(WEIGHTS, link("secret", "/etc/passwd")),
    "hard link out": tar_gz(WEIGHTS, link("secret", "../passwd", tarfile.LNKTYPE)),
    "name out": tar_gz(WEIGHTS, entry("../evil", b"x")),
    "pipe": tar_gz(WEIGHTS, entry("pipe", type=tarfile.FIFOTYPE)),
}


def write_sources(at: Path) -> None:
    """The user's own files."""
    files = {
        "src/inference.py": b"new\n",
        "src/run.sh": b"#!/bin/sh\n",
        "src/private.json": b"{}",
        "src/pkg/__init__.py": b"",
        "src/pkg/__pycache__/x.pyc": b"\0",
        "src/.hidden": b"h",
        "src/lib/own.py": b"own",
        "src/inner/shared/a.py": b"a",
        "shared/__init__.py": b"shared\n",
        "shared/deep/er.py": b"er\n",
        "other/shared/__init__.py": b"other\n",
        "other/tool.py": b"other tool\n",
        "tool.py": b"tool\n",
        "inference.py": b"script\n",
        "big/weights.bin": random.Random(1).randbytes(3 << 20),
    }
    for name, data in files.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_bytes(data)
    (at / "src/run.sh").chmod(0o755)
    (at / "src/private.json").chmod(0o600)
    (at / "src/nothing").mkdir()
    (at / "hollow").mkdir()
    (at / "place").mkdir()
    (at / "linked").mkdir()
    (at / "linked/inference.py").symlink_to("../src/inference.py")
    (at / "linked/pkg").symlink_to("../src/pkg")
    (at / "dangling").mkdir()
    (at / "dangling/gone.py").symlink_to("nowhere.py")


S3_OPEN = tar_gz(entry("inference.py", b"from s3\n", 0o666), entry("run", b"x", 0o777))
S3_LINKS = tar_gz(entry("inference.py", b"from s3\n"), link("same.py", "inference.py"))
S3_CODE = tar_gz(entry("inference.py", b"from s3\n"), entry("new/x.sh", b"x", 0o755), entry("tight", b"t", 0o600))

# Cases


@dataclass(frozen=True)
class Case:
    """One call."""

    archive: str = "plain"
    script: str = "inference.py"
    source: str | None = None
    dependencies: tuple[str, ...] = ()
    model: str = "model.tar.gz"
    output: str = "out.tar.gz"
    kms_key: str | None = None
    encrypt: bool = True
    model_key: str | None = None
    """What the model in S3 is encrypted with."""
    rows: frozenset[str] = field(default_factory=frozenset)
    """Of the table of deliberate differences."""


def differs(*rows: str) -> frozenset[str]:
    return frozenset(rows)


DEFAULT = "s3://sagemaker-us-east-1-123456789012"
"""Its bucket is the one that the SDK makes by itself, under a name that others could guess."""
S3_MODEL, S3_OUT, S3_SRC = "s3://models/in/model.tar.gz", "s3://models/out/model.tar.gz", "s3://models/src/code.tar.gz"
MODES = "modes in archives"
REFUSED, NAMED, LINKS = "a damaged archive", "an error's class", "a link out of the archive"

CASES: dict[str, Case] = {
    # Archives of every shape, code of every kind
    **{
        f"{archive}, {kind}": Case(archive, source=source)
        for archive in (
            *("plain", "without code", "empty", "dotted", "folders", "links", "twice"),
            *("long pax", "long gnu", "two members", "library"),
        )
        for kind, source in {"script": None, "folder": "src", "from S3": S3_SRC}.items()
    },
    "modes of the model": Case("private", source="src", rows=differs(MODES)),
    "modes of code from S3": Case("empty", source="s3://models/src/open.tgz", rows=differs(MODES)),
    "links in code from S3": Case(source="s3://models/src/links.tgz", rows=differs("links in code from S3")),
    "code from S3 of another name": Case(source="s3://models/src/code", rows=differs("the name of code in S3")),
    "an empty folder": Case(source="hollow"),
    "a folder with links": Case(source="linked"),
    "a folder with a trailing slash": Case(source="src/"),
    "a large file": Case(source="big"),
    "a script in a folder": Case(script="src/inference.py"),
    "a script that the model holds": Case("script elsewhere", script="src/serve.py"),
    # Dependencies
    "a file": Case(dependencies=("tool.py",)),
    "a folder": Case(dependencies=("shared",)),
    "a flattened folder": Case("without code", dependencies=("shared/",)),
    "a flattened folder over another": Case(dependencies=("shared/",)),
    "a file and a folder beside code": Case(source="src", dependencies=("tool.py", "shared")),
    "beside code from S3": Case(source=S3_SRC, dependencies=("tool.py", "shared")),
    "two folders of one name": Case(dependencies=("shared", "other/shared")),
    "two files of one name": Case(dependencies=("tool.py", "other/tool.py")),
    "a folder that the model holds": Case("library", dependencies=("shared",)),
    "a folder that the model held": Case("library", source="src", dependencies=("shared",)),
    "a folder that the model holds, below code from S3": Case("library", source=S3_SRC, dependencies=("shared",)),
    "a file that the model holds": Case("library", dependencies=("tool.py",)),
    "a folder in a flattened one": Case("without code", dependencies=("src/inner/", "shared")),
    "a file before a folder": Case(dependencies=("tool.py", "shared")),
    "a folder, then flattened": Case("without code", dependencies=("shared", "other/")),
    # Places
    "file URIs": Case(model="file://{cwd}/model.tar.gz", output="file://{cwd}/out.tar.gz", source="src"),
    "from S3 to S3": Case(model=S3_MODEL, output=S3_OUT, source="src"),
    "from S3 to disk": Case(model=S3_MODEL, source="src"),
    "from disk to S3": Case(output=S3_OUT, source="src"),
    "capitals": Case(model="S3://models/in/model.tar.gz", output="S3://models/out/model.tar.gz", source="src"),
    "to the same path": Case(output="model.tar.gz", source="src"),
    "to the same object": Case(model=S3_MODEL, output=S3_MODEL, source="src"),
    "to another's bucket": Case(model=S3_MODEL, output="s3://others/out/model.tar.gz", source="src"),
    "from another's bucket": Case(model="s3://others/in/model.tar.gz", output=S3_OUT, source="src"),
    "in the default bucket": Case(model=f"{DEFAULT}/in/model.tar.gz", output=f"{DEFAULT}/out.tar.gz", source="src"),
    "to the default bucket": Case(model=S3_MODEL, output=f"{DEFAULT}/out/model.tar.gz", source=S3_SRC),
    "from the default bucket": Case(model=f"{DEFAULT}/in/model.tar.gz", output=S3_OUT, source=S3_SRC),
    "with a key": Case(model=S3_MODEL, output=S3_OUT, source="src", kms_key="alias/mine"),
    "without encryption": Case(model=S3_MODEL, output=S3_OUT, source="src", encrypt=False),
    "a model with a key, with another": Case(
        model=S3_MODEL, output=S3_OUT, source="src", kms_key="alias/mine", model_key="alias/its-own"
    ),
    "a model with a key": Case(model=S3_MODEL, output=S3_OUT, source="src", model_key="alias/its-own"),
    "with a key, without encryption": Case(output=S3_OUT, source="src", kms_key="alias/mine", encrypt=False),
    # Errors
    "no script anywhere": Case("without code", script="nowhere.py"),
    "no such script in the model": Case(script="nowhere.py"),
    "an absolute script": Case(script="/nowhere/inference.py"),
    "a folder for a script": Case(script="src"),
    "no such folder": Case(source="nowhere"),
    "a file for a folder": Case(source="tool.py"),
    "no such dependency": Case(dependencies=("nowhere",)),
    "secrets for code": Case(source="/etc"),
    "secrets for a dependency": Case(dependencies=("/etc/ssl",)),
    "a link to secrets": Case(source="secrets"),
    "no model": Case(model="nowhere.tar.gz", source="src"),
    "no model in S3": Case(model="s3://models/nowhere.tar.gz", source="src", rows=differs(NAMED)),
    "no code in S3": Case(source="s3://models/nowhere.tar.gz", rows=differs(NAMED)),
    "a link that leads nowhere": Case(source="dangling", rows=differs(NAMED)),
    "no gzip": Case("no gzip", source="src", rows=differs(NAMED)),
    "cut": Case("cut", source="src", rows=differs(NAMED)),
    "a wrong checksum": Case("crc", source="src", rows=differs(REFUSED)),
    "trailing junk": Case("trailing", source="src", rows=differs(REFUSED)),
    **{
        f"{archive}, refused": Case(archive, source="src", rows=differs(LINKS))
        for archive in ("link out", "absolute link", "hard link out", "name out", "pipe")
    },
    "into a folder": Case(output="place", source="src", rows=differs("an output that is a folder")),
}


# Outcomes


@dataclass(frozen=True)
class Outcome:
    """What came of a call."""

    error: BaseException | None
    tree: dict[str, Any]
    """Path → what lies there, once the output is extracted."""
    encryption: tuple[Any, Any]
    owners: frozenset[tuple[str, Any]]
    """Which owner was asked for of which bucket."""


def tree_of(data: bytes, at: Path) -> dict[str, Any]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        tar.extractall(at, filter="fully_trusted")
    found: dict[str, Any] = {}
    for path in sorted(at.rglob("*")):
        name, about = str(path.relative_to(at)), path.lstat()
        if path.is_symlink():
            found[name] = "link", os.readlink(path)
        elif path.is_dir():
            found[name] = ("folder",)
        else:
            found[name] = "file", path.read_bytes(), stat.S_IMODE(about.st_mode), about.st_nlink
    return found


def files_below(at: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(at)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.is_file() and path.read_bytes(),
        )
        for path in at.rglob("*")
        if path.name not in ("model.tar.gz", "out.tar.gz", "place", "temp-model.tar.gz")
    }


class Caller:
    """Makes the same call in fresh surroundings."""

    def __init__(self, s3: Any, session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.s3, self.session, self.tmp_path, self.monkeypatch = s3, session, tmp_path, monkeypatch

    def call(self, function: Callable[..., Any], case: Case) -> Outcome:
        cwd = self.tmp_path / f"run-{len(list(self.tmp_path.iterdir()))}"
        cwd.mkdir()
        write_sources(cwd)
        (cwd / "secrets").symlink_to("/etc")
        self.monkeypatch.chdir(cwd)
        data = ARCHIVES[case.archive]
        (cwd / "model.tar.gz").write_bytes(data)
        for bucket in ("models", "others", DEFAULT[len("s3://") :]):
            for item in self.s3.list_objects_v2(Bucket=bucket).get("Contents", []):
                self.s3.delete_object(Bucket=bucket, Key=item["Key"])
            encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": case.model_key} if case.model_key else {}
            self.s3.put_object(Bucket=bucket, Key="in/model.tar.gz", Body=data, **encryption)
        for key, body in {"code.tar.gz": S3_CODE, "open.tgz": S3_OPEN, "links.tgz": S3_LINKS, "code": S3_CODE}.items():
            self.s3.put_object(Bucket="models", Key=f"src/{key}", Body=body)
        before = files_below(cwd)
        self.session.settings = type(self.session.settings)(encrypt_repacked_artifacts=case.encrypt)
        owners: set[tuple[str, Any]] = set()

        def note(params: dict[str, Any], **_: Any) -> None:
            owners.add((params["Bucket"], params.get("ExpectedBucketOwner")))

        events = self.session.boto_session.events
        events.register("provide-client-params.s3", note)
        error: BaseException | None = None
        try:
            model, output = (uri.format(cwd=cwd) for uri in (case.model, case.output))
            returned = function(
                case.script, case.source, list(case.dependencies), model, output, self.session, case.kms_key
            )
            assert returned is None
        except Exception as raised:  # noqa: BLE001 - which one is what is compared
            error = raised
        finally:
            events.unregister("provide-client-params.s3", note)
        assert files_below(cwd) == before, "the user's own files were touched"
        return self._outcome(error, case.output, cwd, frozenset(owners))

    def _outcome(
        self, error: BaseException | None, output: str, cwd: Path, owners: frozenset[tuple[str, Any]]
    ) -> Outcome:
        if error:
            return Outcome(error, {}, (None, None), frozenset())
        encryption: tuple[Any, Any] = None, None
        if output.lower().startswith("s3://"):
            bucket, _, key = output[5:].partition("/")
            answer = self.s3.get_object(Bucket=bucket, Key=key)
            data = answer["Body"].read()
            encryption = answer.get("ServerSideEncryption"), answer.get("SSEKMSKeyId")
        else:
            path = Path(output.format(cwd=cwd).replace("file://", ""))
            data = (path / "temp-model.tar.gz" if path.is_dir() else path).read_bytes()
        shutil.rmtree(cwd / "extracted", ignore_errors=True)
        return Outcome(None, tree_of(data, cwd / "extracted"), encryption, owners)


@pytest.fixture
def caller(s3: Any, boto_session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Caller:
    s3.create_bucket(Bucket="others")
    session = sdk.PipelineSession(boto_session=boto_session)
    assert f"s3://{session.default_bucket()}" == DEFAULT
    return Caller(s3, session, tmp_path, monkeypatch)


def without_modes(tree: dict[str, Any]) -> dict[str, Any]:
    return {name: (*what[:2], *what[3:]) for name, what in tree.items()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_comes_of_a_call_is_what_comes_of_the_sdk_s(caller: Caller, case: Case) -> None:
    theirs, ours = caller.call(THEIRS, case), caller.call(repack_model, case)
    if not case.rows:
        assert type(ours.error) is type(theirs.error), (ours.error, theirs.error)
        assert ours == Outcome(ours.error, theirs.tree, theirs.encryption, theirs.owners)
    elif case.rows == {MODES}:
        assert without_modes(ours.tree) == without_modes(theirs.tree)
        name, exact, theirs_mode = (
            ("code/run", 0o777, 0o755) if case.archive == "empty" else ("model.bin", 0o400, 0o600)
        )
        assert (ours.tree[name][2], theirs.tree[name][2]) == (exact, theirs_mode)
    elif case.rows == {"links in code from S3"}:
        assert theirs.tree["code/same.py"] == ("link", "inference.py")
        assert ours.tree["code/same.py"] == ours.tree["code/inference.py"] == theirs.tree["code/inference.py"]
    elif case.rows == {"the name of code in S3"}:
        assert theirs.error is None
        assert isinstance(ours.error, FileNotFoundError)
    elif case.rows == {REFUSED}:
        assert theirs.error is None
        assert isinstance(ours.error, RepackError)
    elif case.rows == {NAMED}:
        assert isinstance(theirs.error, Exception)
        assert isinstance(ours.error, (RepackError, FileNotFoundError))
    elif case.rows == {LINKS}:
        assert isinstance(theirs.error, (tarfile.FilterError, ValueError))
        assert isinstance(ours.error, ValueError)
    else:
        assert case.rows == {"an output that is a folder"}
        assert theirs.error is None
        assert isinstance(ours.error, RepackError)


def test_there_are_enough_cases_and_every_difference_is_a_row_of_the_docs() -> None:
    assert len(CASES) >= 40
    rows = set(re.findall(r"^\| \*\*(.+?)\*\* \|", DOCS.read_text(), re.MULTILINE))
    assert {row for case in CASES.values() for row in case.rows} <= rows


def test_installed_it_is_what_the_sdk_calls_and_afterwards_no_more() -> None:
    names = [("sagemaker.core.common_utils", "sagemaker.serve.model_builder"), ("sagemaker.utils",)][not sdk.V3]
    modules = [import_module(name) for name in names]
    theirs = [module.repack_model for module in modules]
    with install():
        assert [module.repack_model for module in modules] == [repack_model] * len(modules)
    assert [module.repack_model for module in modules] == theirs
    undo = install()
    assert MODULE.repack_model is repack_model
    undo.close()
    assert MODULE.repack_model is THEIRS


def test_an_sdk_that_looks_different_is_refused_by_name_and_left_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "sagemaker.serve.model_builder" if sdk.V3 else "sagemaker.utils"
    changed = import_module(name)
    monkeypatch.setattr(changed, "repack_model", lambda model_uri, code: None)
    with pytest.raises(
        RuntimeError, match=rf"{name}\.repack_model of sagemaker \S+ takes model_uri, code, which is not"
    ):
        install()
    assert sdk.V3 is False or MODULE.repack_model is THEIRS


def test_a_model_with_an_entry_point_is_repacked_by_it(
    s3: Any, boto_session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sources(tmp_path)
    monkeypatch.chdir(tmp_path)
    s3.put_object(Bucket="models", Key="in/model.tar.gz", Body=ARCHIVES["plain"])
    if sdk.V3:
        session = import_module("sagemaker.core.helper.session_helper").Session(boto_session, default_bucket="models")
        model = import_module("sagemaker.serve.model_builder").ModelBuilder(
            s3_model_data_url=S3_MODEL, image_uri="image", role_arn=ROLE, sagemaker_session=session
        )
        model.entry_point, model.source_dir, model.script_dependencies = "inference.py", "src", []
    else:
        session = import_module("sagemaker.session").Session(boto_session, default_bucket="models")
        model = import_module("sagemaker.model").Model(
            "image", S3_MODEL, ROLE, entry_point="inference.py", source_dir="src", sagemaker_session=session
        )
    with install():
        model._upload_code("churn", repack=True)
    assert model.repacked_model_data == "s3://models/churn/model.tar.gz"
    data = s3.get_object(Bucket="models", Key="churn/model.tar.gz")["Body"].read()
    found = tree_of(data, tmp_path / "extracted")
    assert found["code/inference.py"][1] == b"new\n"
    assert "code/old.py" not in found
    assert data[3] & 16, "the mark of this project's archives is a gzip comment"
