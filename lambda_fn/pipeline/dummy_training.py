"""The job's script: a pretrained model.tar.gz and hyperparameters.json become one model.tar.gz that holds both.

It runs where the step runs, in a processing container, on the standard library alone (Python 3.9 and up). It finds
the files, has the core repack them, and on failure leaves one sentence where SageMaker picks up a job's exit message.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import platform
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable, Mapping, Optional, Sequence

from lambda_fn.contract import (
    AccessDenied,
    InvalidRequest,
    MissingHyperparameters,
    RepackError,
    SourceNotFound,
)
from lambda_fn.core.edit import Merge
from lambda_fn.core.gzip import Limits
from lambda_fn.core.inflate import engine
from lambda_fn.hyperparameters import ENTRY
from lambda_fn.repacker import Given, repack

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
    return repacked(input_paths, output_paths, environ_vars)


def repacked(
    input_paths: Mapping[str, str],
    output_paths: Mapping[str, str],
    environ_vars: Mapping[str, str],
    files: Mapping[str, Given] = MappingProxyType({}),
    **more: Any,
) -> Path:
    """The same, with further `files`, and what else `lambda_fn.repack` takes. Raises RepackError."""
    model_path = _either(input_paths, "pretrained_model_path", "model_artifacts_input")
    hyperparameters_path = _either(input_paths, "hyperparameters_path", "hyperparameters_s3_uri")
    output = _either(output_paths, "model_input", "model_output") / "model.tar.gz"
    required = _one_of(environ_vars, "HYPERPARAMETERS_REQUIRED", "true", "false", "unless_in_model")
    if_present: Any = _one_of(environ_vars, "IF_PRESENT", "replace", "keep", "error")
    limits = _limits(environ_vars)
    log.info("Python %s inflates with %s", platform.python_version(), _inflater())
    model = _find(model_path, "model.tar.gz", (".tar.gz", ".tgz"))
    if model is None:
        raise SourceNotFound(
            f"there is no model at {model_path}, where there is {_listed(model_path)}; "
            "give the step a .tar.gz or .tgz as its model input"
        )
    hyperparameters = _find(hyperparameters_path, "hyperparameters.json", (".json",))
    log.info("model %s, hyperparameters %s", model, hyperparameters or "none")
    if hyperparameters is not None:
        files = {**files, ENTRY: hyperparameters}
    elif required == "true":
        raise MissingHyperparameters(
            f"there are no hyperparameters at {hyperparameters_path}, where there is {_listed(hyperparameters_path)}; "
            "give them to the step as a .json, or set hyperparameters_required=False to copy the model on as it is"
        )
    elif required == "unless_in_model":
        files = {**files, ENTRY: Merge.by(_its_own)}
        if_present = "replace" if if_present == "error" else if_present  # what is there is not put in again
    result = repack(str(model), str(output), files, if_present=if_present, limits=limits, **more)
    for warning in result.warnings:
        log.warning("%s", warning)
    sizes = result.source.size, result.output.size
    log.info("%s: %s, %d bytes in, %d out, %.1f s", output, result.method, *sizes, result.seconds)
    return output


def _its_own(held: Optional[bytes]) -> bytes:
    """The hyperparameters that the model holds. Raises MissingHyperparameters."""
    if held is None:
        raise MissingHyperparameters(
            f"neither does the model hold {ENTRY} nor was one given; "
            "give the step hyperparameters, or set hyperparameters_required=False to copy the model on as it is"
        )
    return held


def _inflater() -> str:
    """Which one does the work, and why not isal where it was shipped: a wheel of another Python only makes it slow."""
    try:
        import isal.isal_zlib  # noqa: F401
    except ImportError as error:
        shipped = importlib.util.find_spec("isal") is not None
        return f"{engine.__name__}, because isal cannot be imported: {error}" if shipped else str(engine.__name__)
    return str(engine.__name__)


def _either(paths: Mapping[str, str], name: str, newer: str) -> Path:
    """The path of a channel by its name or its newer name."""
    path = paths.get(name) or paths.get(newer)
    if not path:
        raise InvalidRequest(f"no path was given for {name} (or {newer})")
    return Path(path)


def _find(path: Path, name: str, suffixes: tuple[str, ...]) -> Optional[Path]:
    """The file itself, `name` in its folder, or the only file there with such a suffix; None if there is none.

    SageMaker keeps the object's own name when it downloads an input, and downloads all keys that begin like it.
    """
    folder = _folder(path)
    for file in (path, folder / name):
        if file in (found := _files(folder)):
            return file
    others = [file for file in found if file.name.lower().endswith(suffixes)]
    if len(others) > 1:
        names = ", ".join(file.name for file in others)
        raise InvalidRequest(f"{folder} holds {names} but no {name}; give the step the full URI of one of them")
    return others[0] if others else None


def _folder(path: Path) -> Path:
    try:
        return path if path.is_dir() else path.parent
    except OSError as error:
        raise AccessDenied(f"{error.filename} cannot be read: {error.strerror}") from error


def _files(folder: Path) -> list[Path]:
    """The files in a folder, if there is one, without what macOS puts beside each (`._model.tar.gz`)."""
    try:
        if not folder.is_dir():
            return []
        return sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("._"))
    except OSError as error:
        raise AccessDenied(f"{error.filename} cannot be read: {error.strerror}") from error


def _listed(path: Path) -> str:
    """What there is instead, for a message."""
    names = [file.name for file in _files(_folder(path))]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if names[10:] else "") if names else "no file at all"


def _one_of(environ_vars: Mapping[str, str], name: str, *values: str) -> str:
    """The variable's value, the first if it is not set."""
    value = environ_vars.get(name, values[0])
    if value not in values:
        raise InvalidRequest(f"{name} must be one of {', '.join(values)}, not {value!r}")
    return value


def _limits(environ_vars: Mapping[str, str]) -> Limits:
    text = environ_vars.get("RATIO_LIMIT")
    if text is None:
        return Limits()
    try:
        ratio = float(text)
    except ValueError:
        ratio = 0
    if not ratio >= 1:
        raise InvalidRequest(f"RATIO_LIMIT must be a number from 1, not {text!r}")
    return Limits(ratio=ratio)


def _arguments(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pretrained-model-path", default="/opt/ml/processing/input/model/model.tar.gz")
    parser.add_argument("--hyperparameters-path", default="/opt/ml/processing/input/config/hyperparameters.json")
    parser.add_argument("--output-dir", default="/opt/ml/processing/output/model")
    return parser.parse_args(argv)


def command_line(argv: Optional[Sequence[str]] = None) -> int:
    """Run `main` on the arguments and the environment; 0, or 1 with the reason in the log and the exit message."""
    args = _arguments(argv)
    inputs = {"pretrained_model_path": args.pretrained_model_path, "hyperparameters_path": args.hyperparameters_path}
    return ended(lambda: main(inputs, {"model_input": args.output_dir}, os.environ, args))


def ended(run: Callable[[], object]) -> int:
    """Run a script's `main` and say how it ended."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        run()
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
