"""The general step's script: a model.tar.gz is edited, as was said and packed when the pipeline was built.

It runs where DummyTraining's runs, on the same standard library alone, and fails in the same way.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

from lambda_fn.contract import InvalidRequest
from lambda_fn.pipeline import dummy_training

EDIT = "edit.json"


def main(
    input_paths: Mapping[str, str],
    output_paths: Mapping[str, str],
    environ_vars: Mapping[str, str],
    job_args: Optional[argparse.Namespace] = None,
) -> Path:
    """Make `model.tar.gz` in the output folder and return its path. Raises RepackError."""
    folder = Path(input_paths["edit_path"])
    document: Mapping[str, Any] = json.loads((folder / EDIT).read_bytes())
    files = {name: _place(folder, place, name.endswith("/")) for name, place in document["files"].items()}
    folders = {name: _place(folder, place, True) for name, place in document["folders"].items()}
    more = {"folders": folders, "remove": document["remove"], "strip_root": document["strip_root"]}
    return dummy_training.repacked(input_paths, output_paths, environ_vars, files, **more)


def _place(edit: Path, place: str, folder_wanted: bool) -> Path:
    """What was packed beside the edit, or what SageMaker downloaded beside its folder, of an object or a whole folder.

    Of an object SageMaker downloads all keys that begin like its own, which is therefore the shortest.
    """
    if not place.startswith("../"):
        return edit / place
    downloaded = edit / place
    names = sorted(os.listdir(downloaded) if downloaded.is_dir() else [], key=len)
    if not names:
        raise InvalidRequest(f"nothing was downloaded for {downloaded.name}; give the step URIs of objects that exist")
    packed = names[0].lower().endswith((".tar.gz", ".tgz"))
    return downloaded if place.endswith("/") or (folder_wanted and not packed) else downloaded / names[0]


def command_line(argv: Optional[Sequence[str]] = None) -> int:
    """Run `main` on the arguments and the environment; 0, or 1 with the reason in the log and the exit message."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pretrained-model-path", default="/opt/ml/processing/input/model/model.tar.gz")
    parser.add_argument("--hyperparameters-path", default="/opt/ml/processing/input/config/hyperparameters.json")
    parser.add_argument("--edit-path", default="/opt/ml/processing/input/edit")
    parser.add_argument("--output-dir", default="/opt/ml/processing/output/model")
    args = parser.parse_args(argv)
    inputs = {
        "pretrained_model_path": args.pretrained_model_path,
        "hyperparameters_path": args.hyperparameters_path,
        "edit_path": args.edit_path,
    }
    # The environment says IF_PRESENT, HYPERPARAMETERS_REQUIRED and RATIO_LIMIT, as it does to DummyTraining.
    return dummy_training.ended(lambda: main(inputs, {"model_input": args.output_dir}, os.environ, args))


if __name__ == "__main__":
    sys.exit(command_line())
