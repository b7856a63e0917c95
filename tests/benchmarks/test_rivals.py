"""What we compare with really does the work: every rival's output holds the model and the hyperparameters."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.models import PARTS, cached
from benchmarks.rivals import sagemaker_sdk, usual_script

pytestmark = pytest.mark.needs("gzip")
LAYERS = [f"layer{number}.bin" for number in range(PARTS)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each model is made once."""
    return tmp_path_factory.mktemp("models")


@pytest.mark.parametrize("kind", ["weights", "compressible"])
@pytest.mark.parametrize(
    ("rival", "name"), [(usual_script, "hyperparameters.json"), (sagemaker_sdk, "code/hyperparameters.json")]
)
def test_a_rival_packs_the_model_with_the_hyperparameters(
    kind: str, rival: Callable[[Path, Path, Path], None], name: str, models: Path, tmp_path: Path
) -> None:
    source = cached(kind, 1, "first", models)
    hyperparameters = tmp_path / "hyperparameters.json"
    hyperparameters.write_text('{"epochs": 7}')
    rival(source, hyperparameters, tmp_path / "output.tar.gz")
    with tarfile.open(source) as before, tarfile.open(tmp_path / "output.tar.gz") as after:
        assert read(after, name) == b'{"epochs": 7}'
        for layer in LAYERS:
            assert read(after, layer) == read(before, layer)


def read(tar: tarfile.TarFile, name: str) -> bytes:
    (entry,) = (entry for entry in tar if entry.name.lstrip("/") == name)
    data = tar.extractfile(entry)
    assert data
    return data.read()


@pytest.mark.parametrize(("old_entry", "at"), [("first", [0]), ("last", [PARTS]), ("none", [])])
def test_models_are_the_same_each_time(old_entry: str, at: list[int], models: Path, tmp_path: Path) -> None:
    one, two = (cached("compressible", 1, old_entry, folder) for folder in (models, tmp_path))
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as tar:
        names = tar.getnames()
        assert sum(entry.size for entry in tar if entry.name in LAYERS) == 1 << 20
    assert [place for place, name in enumerate(names) if name == "hyperparameters.json"] == at
