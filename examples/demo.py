"""Repack a small real model: what it is before and after, how long it takes, and what happens to a broken one.

`make demo` runs it, in a folder that is gone afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from statistics import median

import joblib
import sklearn
from sklearn.datasets import make_regression
from sklearn.ensemble import ExtraTreesRegressor

from benchmarks.measure import Contender, run

REPACK = ("python", "-m", "lambda_fn", "repack")
MODEL, NEW, USUAL = Path("model.tar.gz"), Path("out/model.tar.gz"), Path("usual/model.tar.gz")
HYPERPARAMETERS = Path("hyperparameters.json")
ROUNDS = 3


def main() -> None:
    """The demo from beginning to end."""
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            before_and_after()
            times()
            broken()
        finally:
            os.chdir("/")


def before_and_after() -> None:
    """Pack a model as people do, repack it, and let GNU tar say what is in both."""
    heading(f"A model by scikit-learn {sklearn.__version__}, packed by GNU tar")
    make_model(Path("model"))
    shell("tar", "-czf", str(MODEL), "-C", "model", ".")
    shell("tar", "-tvzf", str(MODEL))

    heading("The same with hyperparameters")
    HYPERPARAMETERS.write_text('{"n_estimators": 24, "min_samples_leaf": 1}\n')
    shell(*REPACK, str(MODEL), "--hyperparameters", str(HYPERPARAMETERS), "--output", str(NEW))
    shell("tar", "-tvzf", str(NEW))
    shell("tar", "-xzOf", str(NEW), "hyperparameters.json")


def make_model(folder: Path) -> None:
    """A regressor of 24 trees (69 MB) with what lies beside a model: code, a link to it, an empty directory."""
    features, target = make_regression(20_000, 20, noise=10, random_state=7)
    (folder / "code").mkdir(parents=True)
    (folder / "cache").mkdir()
    joblib.dump(ExtraTreesRegressor(24, n_jobs=-1, random_state=7).fit(features, target), folder / "model.joblib")
    (folder / "latest").symlink_to("model.joblib")
    (folder / "code/inference.py").write_text('import joblib\n\nmodel = joblib.load("model.joblib")\n')
    (folder / "code/requirements.txt").write_text(f"scikit-learn=={sklearn.__version__}\n")


def times() -> None:
    """Time it against the usual script, whole processes in turn."""
    heading(f"Against the usual script (extractall, then w:gz), median of {ROUNDS} in turn")
    script = ("python", "-m", "benchmarks.rivals", "usual_script")
    usual = Contender("usual script", (*script, str(MODEL), str(HYPERPARAMETERS), str(USUAL)))
    ours = Contender("repack", (*REPACK, str(MODEL), "--hyperparameters", str(HYPERPARAMETERS), "--output", str(NEW)))
    USUAL.parent.mkdir()
    rounds = [(run(usual)[0], run(ours)[0]) for _ in range(ROUNDS)]
    slow, fast = (median(seconds) for seconds in zip(*rounds))
    for name, seconds in ((usual.name, slow), (ours.name, fast)):
        print(f"  {name:13} {seconds:6.2f} s  {'█' * max(1, round(48 * seconds / slow))}")
    lost = sorted(names(NEW) - names(USUAL))
    print(f"  {slow / fast:.0f} times faster; and the usual script lost {', '.join(lost)}")


def names(archive: Path) -> set[str]:
    """The names in an archive, however they are spelled."""
    with tarfile.open(archive) as tar:
        return {os.path.normpath(entry.name) + "/" * entry.isdir() for entry in tar}


def broken() -> None:
    """Repack an archive that was cut off."""
    heading("A broken download: one line says why, and nothing is left")
    Path("cut.tar.gz").write_bytes(MODEL.read_bytes()[:10_000_000])
    cut = (*REPACK, "cut.tar.gz", "--hyperparameters", str(HYPERPARAMETERS), "--output", "never/model.tar.gz")
    shell(*cut, status=1)
    shell("ls", "never", status=2)


def heading(words: str) -> None:
    """Begin a part of the demo."""
    print(f"\n\033[1m{words}\033[0m" if sys.stdout.isatty() else f"\n{words}", flush=True)


def shell(*command: str, status: int = 0) -> None:
    """Show a command and what it says. Raises SystemExit unless it ends with this status."""
    print(f"$ {' '.join(command)}", flush=True)
    if subprocess.run(command, stderr=subprocess.STDOUT, check=False).returncode != status:
        raise SystemExit("that was not expected")


if __name__ == "__main__":
    main()
