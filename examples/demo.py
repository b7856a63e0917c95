"""The three doors, one after the other, on this machine alone: `make demo`, or `make demo-laptop` for the first.

It works in a folder that is gone afterwards, and asks for no account, Docker or node.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

from examples.laptop import MODEL, laptop
from examples.screen import heading, say


def main(only_laptop: bool) -> None:
    """The demo from beginning to end."""
    began = time.monotonic()
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            heading("1  On a laptop: a command")
            usual = laptop()
            if not only_laptop:
                in_aws(usual)
        finally:
            os.chdir("/")
    say(f"That was all, in {time.monotonic() - began:.0f} s. README.md goes on from here.")


def in_aws(usual: float) -> None:
    """The two doors that need more than the laptop: what their libraries tell one another is kept quiet."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    quiet = {"POWERTOOLS_METRICS_DISABLED": "true", "SAGEMAKER_SUPPRESS_V2_WARNING": "1"}
    os.environ.update({"AWS_DEFAULT_REGION": "us-east-1", **quiet})
    heading("2  In AWS: an upload")
    from examples.upload import upload

    upload(MODEL, usual)
    heading("3  In a SageMaker pipeline: a step")
    from examples.step import step

    step(MODEL, usual)


if __name__ == "__main__":
    main(only_laptop=sys.argv[1:] == ["laptop"])
