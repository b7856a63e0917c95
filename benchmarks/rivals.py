"""What people use today, to be measured against: each puts a hyperparameters.json into a model.tar.gz its own way.

`python -m benchmarks.rivals NAME SOURCE HYPERPARAMETERS OUTPUT`; standard library alone, but for `inflate`.
"""

from __future__ import annotations

import shutil
import sys
import tarfile
import tempfile
from pathlib import Path


def usual_script(source: Path, hyperparameters: Path, output: Path) -> None:
    """The script that everyone has written once: extract all, add the file, pack again."""
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        with tarfile.open(source, "r:gz") as tar:
            tar.extractall(folder, filter="data")
        shutil.copy(hyperparameters, Path(folder, "hyperparameters.json"))
        with tarfile.open(output, "w:gz") as tar:
            for path in sorted(Path(folder).rglob("*")):
                if path.is_file():
                    tar.add(path, arcname=path.relative_to(folder))


def sagemaker_sdk(source: Path, hyperparameters: Path, output: Path) -> None:
    """The steps of the SageMaker SDK's `repack_model` for local paths: extract, replace code/, pack, move."""
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        model, code, packed = Path(folder, "model"), Path(folder, "code"), Path(folder, "temp-model.tar.gz")
        code.mkdir()
        shutil.copy2(hyperparameters, code)
        model.mkdir()
        with tarfile.open(source, "r:gz") as tar:
            tar.extractall(model, filter="data")
        shutil.rmtree(model / "code", ignore_errors=True)
        shutil.copytree(code, model / "code")
        with tarfile.open(packed, "w:gz") as tar:
            tar.add(model, arcname="/")
        shutil.move(packed, output)


def inflate(source: Path, hyperparameters: Path, output: Path) -> None:
    """No repack but its limit: whoever checks the archive must inflate it once, with the fastest inflate there is."""
    from isal import igzip

    with igzip.open(source, "rb") as data:  # type: ignore[no-untyped-call]
        while data.read(128 * 1024):
            pass


RIVALS = {rival.__name__: rival for rival in (usual_script, sagemaker_sdk, inflate)}

if __name__ == "__main__":
    RIVALS[sys.argv[1]](*map(Path, sys.argv[2:]))
