"""What SageMaker would stumble over is told, and what it would not is not."""

from __future__ import annotations

import json

import pytest

from lambda_fn.core.tar import Stream, entries
from lambda_fn.hyperparameters import ENTRY
from lambda_fn.inspection import Inspection
from tests.archives import Part, Tar, entry


def warnings(*parts: Part, held: bytes | None = None, put: tuple[str, ...] = (), strip_root: bool = False) -> list[str]:
    inspection = Inspection(put, strip_root)
    for found in entries(Stream([Tar(parts).data])):
        inspection.see(found)
    return list(inspection.warnings(held))


def test_an_archive_as_it_should_be_is_no_matter() -> None:
    names = ["model.bin", "code/inference.py", "code/lib/x.py", ENTRY]
    link = entry("code/here", kind=b"2", link="../model.bin")
    assert warnings(*map(entry, names), link, held=b'{"sagemaker_program": "inference.py"}') == []
    assert warnings() == []


@pytest.mark.parametrize("names", [["model/w", "model/code/x.py"], ["model/", "model/w"], [ENTRY, "model/w"], ["m/"]])
def test_one_folder_at_the_top_is_told(names: list[str]) -> None:
    parts = [entry(name, kind=b"5" if name.endswith("/") else b"0") for name in names]
    (told,) = warnings(*parts)
    assert told.startswith(f"everything lies in the folder {names[-1].partition('/')[0]}/")
    assert "--strip-root" in told
    assert warnings(*parts, strip_root=True) == []


@pytest.mark.parametrize(
    "names", [["code/a.py"], ["1/saved_model.pb"], ["export/Servo/1/saved_model.pb"], ["resnet/1/model.onnx"], ["w"]]
)
def test_folders_that_belong_at_the_top_are_not(names: list[str]) -> None:
    assert warnings(*map(entry, names)) == []


def test_a_file_put_beside_its_old_place_is_told() -> None:
    (told,) = warnings(entry("m/w"), entry(f"m/{ENTRY}"), put=(ENTRY, "code/x.py"))
    assert f"m/{ENTRY}, too" in told
    assert warnings(entry("m/w"), put=("code/x.py",)) == []


@pytest.mark.parametrize("link", ["/opt/ml/model/w", "../w", "../../etc", ".."])
def test_links_that_leave_the_archive_are_told(link: str) -> None:
    (told,) = warnings(entry("w"), entry("bad", kind=b"2", link=link))
    assert told.startswith(f"bad -> {link} leads out of the archive")


def test_leftovers_of_macos_are_told_once_for_all() -> None:
    (told,) = warnings(entry("._w"), entry("w"), entry("code/._x.py"))
    assert told.startswith("each of 2 entries, such as ._w, is a leftover of macOS")


def test_folders_that_only_windows_sees_are_told() -> None:
    (told,) = warnings(entry("model\\w"), entry("model\\code\\x.py"))
    assert told.startswith("each of 2 entries, such as model\\w, is no file in a folder")
    assert warnings(entry("w"), put=("code\\x.py",)) == [
        "code\\x.py is no file in a folder but one with backslashes in its name, except on Windows"
    ]


@pytest.mark.parametrize("key", ["sagemaker_program", "SAGEMAKER_PROGRAM"])
@pytest.mark.parametrize("as_sagemaker_does", [False, True])
def test_a_script_that_is_not_there_is_told(key: str, as_sagemaker_does: bool) -> None:
    def held(script: str) -> bytes:
        return json.dumps({key: json.dumps(script) if as_sagemaker_does else script}).encode()

    parts = [entry("w"), entry("code/train.py"), entry("code/lib/y.py")]
    assert warnings(*parts, held=held("serve.py")) == [
        "the hyperparameters name the script serve.py, but there is no code/serve.py"
    ]
    for there in ("train.py", "./train.py", "lib/y.py", "/opt/ml/model/code/z.py"):
        assert warnings(*parts, held=held(there)) == []
    assert warnings(*parts, held=held("serve.py"), put=("code/serve.py",)) == []
    assert warnings(entry("w"), held=held("serve.py")) == [], "without code/ the script comes from elsewhere"


@pytest.mark.parametrize(
    ("held", "says"), [(b"\xef\xbb\xbf{}", "a byte order mark"), (b'{"a": NaN}', "NaN"), (b"[]", "object")]
)
def test_hyperparameters_that_are_none_are_told(held: bytes, says: str) -> None:
    (told,) = warnings(entry("w"), held=held)
    assert told.startswith(f"the archive's {ENTRY} ")
    assert says in told


@pytest.mark.parametrize("name", ["..", "../w", "a/../../w"])
def test_entries_outside_of_the_archive_are_told(name: str) -> None:
    (told,) = warnings(entry("v"), entry(name))
    assert told.endswith(" lies outside of where the archive is extracted; readers leave it out, or refuse all")
    assert warnings(entry("v"), entry("..w")) == warnings(entry("v"), entry("a/../w")) == []


@pytest.mark.parametrize("held", [b'{"sagemaker_program": 1}', b'{"sagemaker_program": "\\"x"}'])
def test_what_names_no_script_is_another_matter(held: bytes) -> None:
    assert warnings(entry("w"), entry("code/x.py"), held=held) == []
