"""The first door: a command on a laptop. What it does, what it leaves alone, how long it takes, and a broken model."""

from __future__ import annotations

import subprocess
import tarfile
from os.path import normpath
from pathlib import Path
from shutil import which

import joblib
import sklearn
from sklearn.datasets import make_regression
from sklearn.ensemble import ExtraTreesRegressor

from benchmarks.measure import Contender, run
from examples.screen import bar, say, size, trees, typed, waiting

REPACK = ("python", "-m", "lambda_fn", "repack")
MODEL, NEW, USUAL = Path("model.tar.gz"), Path("out/model.tar.gz"), Path("usual/model.tar.gz")
HYPERPARAMETERS = Path("hyperparameters.json")


def laptop() -> float:
    """Show it; the seconds that the usual script takes for the same."""
    make_model(Path("model"))
    HYPERPARAMETERS.write_text('{"n_estimators": 24, "min_samples_leaf": 1}\n')
    pack(Path("model"))
    shell(*REPACK, str(MODEL), "--hyperparameters", str(HYPERPARAMETERS), "--output", str(NEW))
    trees(MODEL, NEW)
    usual = times()
    broken()
    return usual


def make_model(folder: Path) -> None:
    """A regressor of 24 trees (69 MB) with what lies beside a model: code, a link to it, an empty directory."""
    features, target = make_regression(20_000, 20, noise=10, random_state=7)
    (folder / "code").mkdir(parents=True)
    (folder / "cache").mkdir()
    joblib.dump(ExtraTreesRegressor(24, n_jobs=-1, random_state=7).fit(features, target), folder / "model.joblib")
    (folder / "latest").symlink_to("model.joblib")
    (folder / "code/inference.py").write_text('import joblib\n\nmodel = joblib.load("model.joblib")\n')
    (folder / "code/requirements.txt").write_text(f"scikit-learn=={sklearn.__version__}\n")
    model = folder / "model.joblib"
    say(f"A model by scikit-learn {sklearn.__version__}: 24 trees, {size(model.stat().st_size)}")


def pack(folder: Path) -> None:
    """Pack it as people do, by tar; by Python where there is none."""
    if which("tar") and which("gzip"):
        shell("tar", "-czf", str(MODEL), "-C", str(folder), ".")
        return
    say("There is no tar here, so Python's tarfile packs it")
    with tarfile.open(MODEL, "w:gz", compresslevel=6) as tar:
        tar.add(folder, ".")


def times() -> float:
    """Time it against the usual script, whole processes; the usual script's seconds."""
    USUAL.parent.mkdir()
    given = (str(MODEL), str(HYPERPARAMETERS), str(USUAL))
    say("Against the usual script, which extracts all and packs it again:")
    print()
    waiting("usual script")
    usual = run(Contender("usual script", ("python", "-m", "benchmarks.rivals", "usual_script", *given)))[0]
    bar("usual script", usual, usual)
    command = (*REPACK, str(MODEL), "--hyperparameters", str(HYPERPARAMETERS), "--output", str(NEW))
    ours = run(Contender("repack", command))[0]
    bar("repack", ours, usual)
    lost = ", ".join(sorted(names(NEW) - names(USUAL)))
    say(f"{usual / ours:.0f} times faster; and the usual script lost {lost}")
    return usual


def names(archive: Path) -> set[str]:
    """The names in an archive, however they are spelled."""
    with tarfile.open(archive) as tar:
        return {normpath(entry.name) + "/" * entry.isdir() for entry in tar}


def broken() -> None:
    """Repack an archive that was cut off: one line says why, and nothing is left."""
    Path("cut.tar.gz").write_bytes(MODEL.read_bytes()[:10_000_000])
    cut = (*REPACK, "cut.tar.gz", "--hyperparameters", str(HYPERPARAMETERS), "--output", "never/model.tar.gz")
    shell(*cut, status=1)
    shell("ls", "never", status=2)


def shell(*command: str, status: int = 0) -> None:
    """Show a command and what it says. Raises SystemExit unless it ends with this status."""
    typed(" ".join(command))
    if subprocess.run(command, stderr=subprocess.STDOUT, check=False).returncode != status:
        raise SystemExit("that was not expected")
