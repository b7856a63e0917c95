"""The SageMaker SDK's repack against ours: the twenty files of a code/ replaced, on the local disk and inside S3.

On the disk it is `repack_model`. Inside S3, which is LocalStack on the same machine, it is what a Model does with its
entry point before it is deployed, with the SDK's own function and with ours installed.

It needs the environments that `make test` makes for both SDKs, and writes sdk.md into benchmarks/results. What is timed
is the call alone, in a new process each: whoever calls it has imported the SDK already.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import date
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .measure import Runs, machine, table
from .models import CODE, cached

RESULTS = Path(__file__).parent / "results"
SCRATCH = Path(".cache/benchmarks/scratch-sdk")
NEW_CODE, OUTPUT = SCRATCH / "code", SCRATCH / "output.tar.gz"
BUCKET = "benchmark"
IN_S3, OUT_S3 = f"s3://{BUCKET}/in/model.tar.gz", f"s3://{BUCKET}/churn/model.tar.gz"
ROLE = "arn:aws:iam::123456789012:role/benchmark"
PROMISED = {"weights": "14", "compressible": "30"}
"""How many times faster than the SDK's own, on the disk."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sdk", description=__doc__)
    parser.add_argument("--kinds", nargs="+", default=["weights", "compressible"], help="which models")
    parser.add_argument("--mib", type=int, default=1024, help="their size (default: 1024)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (default: 3)")
    parser.add_argument("--call", choices=CALLS, help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.call:
        print(json.dumps(call(options.call, options.model)))
        return
    shutil.rmtree(SCRATCH, ignore_errors=True)
    NEW_CODE.mkdir(parents=True)
    for number in range(20):
        (NEW_CODE / f"module{number}.py").write_text(f"NUMBER = {number}\n" * 50)
    rows = [row for kind in options.kinds for row in measured(kind, options.mib, options.rounds)]
    shutil.rmtree(SCRATCH)
    command = (
        f"python -m benchmarks.sdk --kinds {' '.join(options.kinds)} --mib {options.mib} --rounds {options.rounds}"
    )
    page = (
        f"# The SDK's repack, and ours\n\n`{command}`, {date.today()}: {machine()}.\n\n"
        "The twenty files of a code/ replaced: the call alone, in a new process each, in turn; medians. On the disk "
        "the call is `repack_model`, inside S3 a Model's `_upload_code`. S3 is LocalStack, which shares the machine's "
        "cores and disk: what the SDK moves to and fro costs more on a network.\n\n"
        + table(("", "the SDK, s", "ours, s", "times faster", "promised", "the SDK, peak MiB", "ours, peak MiB"), rows)
    )
    RESULTS.joinpath("sdk.md").write_text(page)
    print(page)


def measured(kind: str, mib: int, rounds: int) -> Iterator[tuple[str, ...]]:
    """A row for each SDK and place."""
    model = cached(kind, mib, CODE)
    yield from compared(kind, str(model), PROMISED[kind], rounds)
    with in_s3(model):
        yield from compared(f"{kind} inside S3", IN_S3, "", rounds)


def compared(what: str, model: str, promised: str, rounds: int) -> Iterator[tuple[str, ...]]:
    """A row for each SDK."""
    for sdk in ("v2", "v3"):
        runs = {who: Runs() for who in CALLS}
        for _ in range(rounds):
            for who, results in runs.items():
                seconds, peak = timed(f".venv-sagemaker-{sdk}/bin/python", who, model)
                print(f"{what}, {sdk}, {who}: {seconds:.2f} s", file=sys.stderr)
                results.seconds.append(seconds)
                results.peaks.append(peak)
        theirs, ours = runs["theirs"], runs["ours"]
        figures = (f"{theirs.time:.2f}", f"{ours.time:.2f}", f"{theirs.time / ours.time:.1f}", promised)
        yield f"{what}, {sdk}", *figures, f"{theirs.peak:.0f}", f"{ours.peak:.0f}"


@contextmanager
def in_s3(model: Path) -> Iterator[None]:
    """The model in a stand-in's bucket, which is where all of AWS is for the calls."""
    from tests.stand_ins.localstack import localstack

    with localstack() as url:
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
        os.environ.update({**keys, "AWS_ENDPOINT_URL": url})
        client = import_module("boto3").client("s3")
        client.create_bucket(Bucket=BUCKET)
        client.upload_file(str(model), *parts(IN_S3))
        yield
    del os.environ["AWS_ENDPOINT_URL"]


def parts(uri: str) -> list[str]:
    """Bucket and key."""
    return uri.removeprefix("s3://").split("/", 1)


def timed(python: str, who: str, model: str) -> tuple[float, int]:
    """One call's seconds and its process's peak in KiB. The output must hold the new code and none of the old."""
    os.sync()
    command = (python, "-W", "ignore", "-m", "benchmarks.sdk", "--call", who, "--model", model)
    environment = {"AWS_DEFAULT_REGION": "us-east-1", **os.environ}  # SDK v3 asks for it when it is imported
    run = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if run.returncode:
        raise SystemExit(f"{who} failed: {run.stderr.strip()}")
    if model == IN_S3:
        client = import_module("boto3").client("s3")
        client.download_file(*parts(OUT_S3), str(OUTPUT))
        client.delete_object(Bucket=BUCKET, Key=parts(OUT_S3)[1])
    found = subprocess.run(("tar", "-xzOf", str(OUTPUT), "code/module19.py"), check=True, stdout=subprocess.PIPE).stdout
    if found != (NEW_CODE / "module19.py").read_bytes():
        raise SystemExit(f"{who} made a wrong archive")
    OUTPUT.unlink()
    seconds, peak = json.loads(run.stdout.splitlines()[-1])
    return seconds, peak


def call(who: str, model: str) -> tuple[float, int]:
    """The call itself, once its function is imported."""
    work = of_a_model(who) if model == IN_S3 else alone(who, Path(model))
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def alone(who: str, model: Path) -> Callable[[], object]:
    """The function's call on the disk, which has the model in memory."""
    function = CALLS[who]()
    settings = SimpleNamespace(local_download_dir=str(SCRATCH.resolve()), encrypt_repacked_artifacts=True)
    session = SimpleNamespace(settings=settings)
    with model.open("rb", buffering=0) as source:
        while source.read(1 << 20):
            pass
    return lambda: function("module0.py", str(NEW_CODE), [], str(model), str(OUTPUT), session)


def of_a_model(who: str) -> Callable[[], object]:
    """What a Model with an entry point does before it is deployed."""
    from lambda_fn.pipeline.sdk import V3
    from lambda_fn.pipeline.sdk_repack import install

    sessions = import_module("sagemaker.core.helper.session_helper" if V3 else "sagemaker.session")
    session = sessions.Session(import_module("boto3").Session(), default_bucket=BUCKET)
    session.settings = type(session.settings)(encrypt_repacked_artifacts=False)  # the stand-in has no KMS
    if V3:
        model = import_module("sagemaker.serve.model_builder").ModelBuilder(
            s3_model_data_url=IN_S3, image_uri="image", role_arn=ROLE, sagemaker_session=session
        )
        model.entry_point, model.source_dir, model.script_dependencies = "module0.py", str(NEW_CODE), []
    else:
        model = import_module("sagemaker.model").Model(
            "image", IN_S3, ROLE, entry_point="module0.py", source_dir=str(NEW_CODE), sagemaker_session=session
        )

    def work() -> None:
        with install() if who == "ours" else nullcontext():
            model._upload_code("churn", repack=True)  # noqa: SLF001 - there is no other door that deploys nothing

    return work


def theirs() -> Callable[..., Any]:
    """The installed SDK's."""
    from lambda_fn.pipeline.sdk_repack import _sdk_modules

    function: Callable[..., Any] = _sdk_modules()[0].repack_model
    return function


def ours() -> Callable[..., Any]:
    """This project's, in the same environment."""
    theirs()
    from lambda_fn.pipeline.sdk_repack import repack_model

    return repack_model


CALLS: dict[str, Callable[[], Callable[..., Any]]] = {"theirs": theirs, "ours": ours}

if __name__ == "__main__":
    main()
