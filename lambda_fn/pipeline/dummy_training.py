"""The job's script: a pretrained model.tar.gz and hyperparameters.json become one model.tar.gz that holds both.

It runs where the step runs, in a processing container, on the standard library alone (Python 3.9 and up). It finds
the files, has the core repack them, and on failure leaves one sentence where SageMaker picks up a job's exit message.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Mapping, Optional, Sequence

from lambda_fn.contract import (
    AccessDenied,
    InvalidRequest,
    MissingHyperparameters,
    RepackError,
    Request,
    SourceNotFound,
)
from lambda_fn.repacker import repack, run

EXIT_MESSAGE = Path("/opt/ml/output/message")
EXIT_MESSAGE_LIMIT = 1024
"""Bytes of it that DescribeProcessingJob returns."""

log = logging.getLogger("dummy_training")


def main(
    input_paths: Mapping[str, str],
    output_paths: Mapping[str, str],
    environ_vars: Mapping[str, str],
    job_args: Optional[argparse.Namespace] = None,
) -> Path:
    """Make `model.tar.gz` in the output folder and return its path.

    A path is a file or the folder that holds it. The channels may have their newer names `model_artifacts_input`,
    `hyperparameters_s3_uri` and `model_output`. `job_args` is part of the signature that pipelines call; everything
    in it has already gone into the paths. Raises RepackError.
    """
    model_path = _either(input_paths, "pretrained_model_path", "model_artifacts_input")
    hyperparameters_path = _either(input_paths, "hyperparameters_path", "hyperparameters_s3_uri")
    output = _either(output_paths, "model_input", "model_output") / "model.tar.gz"
    model = _find(model_path, "model.tar.gz")
    hyperparameters = _find(hyperparameters_path, "hyperparameters.json")
    required = _yes(environ_vars.get("HYPERPARAMETERS_REQUIRED", "true"))
    if model is None:
        raise SourceNotFound(f"there is no model at {model_path}; give the step a model.tar.gz as its model input")
    if hyperparameters is None and required:
        raise MissingHyperparameters(
            f"there are no hyperparameters at {hyperparameters_path}; give them to the step, "
            "or set hyperparameters_required=False to copy the model on as it is"
        )
    log.info("model %s, hyperparameters %s", model, hyperparameters or "none")
    if hyperparameters is None:
        result = repack(str(model), str(output), {})
    else:
        if_present = environ_vars.get("IF_PRESENT", "replace")
        request = Request(str(model), str(output), hyperparameters_uri=str(hyperparameters), if_present=if_present)
        result = run(request)
    for warning in result.warnings:
        log.warning("%s", warning)
    sizes = result.source.size, result.output.size
    log.info("%s: %s, %d bytes in, %d out, %.1f s", output, result.method, *sizes, result.seconds)
    return output


def _either(paths: Mapping[str, str], name: str, newer: str) -> Path:
    """The path of a channel by its name or its newer name."""
    path = paths.get(name) or paths.get(newer)
    if not path:
        raise InvalidRequest(f"no path was given for {name} (or {newer})")
    return Path(path)


def _find(path: Path, name: str) -> Optional[Path]:
    """The file itself, `name` in its folder, or the only file there with the same suffix; None if there is none.

    SageMaker keeps the object's own name when it downloads an input, and downloads all keys that begin like it.
    """
    try:
        folder = path if path.is_dir() else path.parent
        for file in (path, folder / name):
            if file.is_file():
                return file
        suffix = name[name.index(".") :]
        others = sorted(file for file in folder.iterdir() if file.name.endswith(suffix)) if folder.is_dir() else []
    except OSError as error:
        raise AccessDenied(f"{error.filename} cannot be read: {error.strerror}") from error
    if len(others) > 1:
        names = ", ".join(file.name for file in others)
        raise InvalidRequest(f"{folder} holds {names} but no {name}; give the step the full URI of one of them")
    return others[0] if others else None


def _yes(value: str) -> bool:
    if value not in ("true", "false"):
        raise InvalidRequest(f"HYPERPARAMETERS_REQUIRED must be true or false, not {value!r}")
    return value == "true"


def _arguments(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pretrained-model-path", default="/opt/ml/processing/input/model/model.tar.gz")
    parser.add_argument("--hyperparameters-path", default="/opt/ml/processing/input/config/hyperparameters.json")
    parser.add_argument("--output-dir", default="/opt/ml/processing/output/model")
    return parser.parse_args(argv)


def command_line(argv: Optional[Sequence[str]] = None) -> int:
    """Run `main` on the arguments and the environment; 0, or 1 with the reason in the log and the exit message."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    args = _arguments(argv)
    inputs = {"pretrained_model_path": args.pretrained_model_path, "hyperparameters_path": args.hyperparameters_path}
    try:
        main(inputs, {"model_input": args.output_dir}, os.environ, args)
    except RepackError as error:
        return _fail(f"{error.name}: {error}")
    except Exception as error:
        log.exception("this is a bug, or the machine's fault")
        return _fail(f"{type(error).__name__}: {error}")
    return 0


def _fail(reason: str) -> int:
    log.error("%s", reason)
    if EXIT_MESSAGE.parent.parent.is_dir():  # /opt/ml: we are in SageMaker
        try:
            EXIT_MESSAGE.parent.mkdir(exist_ok=True)
            EXIT_MESSAGE.write_bytes(reason.encode()[:EXIT_MESSAGE_LIMIT].decode(errors="ignore").encode())
        except OSError as error:
            log.warning("the exit message could not be written: %s", error)
    return 1


if __name__ == "__main__":
    sys.exit(command_line())
