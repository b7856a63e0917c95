"""The second door: an upload. The synthesized stack, in a stand-in for AWS, repacks what arrives in its bucket.

The state machine, the function and the bucket's rule are the template's own. One hand helps: the stand-in (moto)
cannot deliver an event to a state machine, so what the rule lets through is carried from a queue to the machine here.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from examples.screen import BOLD, GREEN, RED, mark, say, size, styled, trees, typed, working
from tests.stand_ins.stack import Deployment, deploy, received, synthesize

FOLDER = "models/churn"


def upload(model: Path, usual: float) -> None:
    """Show it with this model, beside the seconds of the usual script."""
    with ExitStack() as ends:
        with working("the stack is synthesized, and checked by cdk-nag"):
            template = synthesize(Path("cdk.out").absolute())
        with working("it is deployed into a stand-in for AWS, on this machine"):
            stack = ends.enter_context(deploy(template))
        whole = model.read_bytes()
        say("A model arrives. Without its hyperparameters there is nothing to do yet:")
        put(stack, "model.tar.gz", whole)
        say("They arrive, too, and the model's twin appears in the output bucket:")
        put(stack, "hyperparameters.json", b'{"n_estimators": 24}')
        twin = Path("OUTPUT/model.tar.gz")
        twin.parent.mkdir()
        twin.write_bytes(made(stack))
        trees(model, twin)
        say(
            f"The usual script took {usual:.1f} s, and would move {size(2 * len(whole))} between S3 and where it runs. "
            "(S3 takes no parts below 5 MiB, so as much of the model's beginning went up with what is new.)"
        )
        say("Other hyperparameters go the short way, since the model was surveyed already:")
        put(stack, "hyperparameters.json", b'{"n_estimators": 24, "min_samples_leaf": 5}')
        before = made(stack)
        say("A broken upload ends in an event that names what is wrong:")
        put(stack, "model.tar.gz", whole[: len(whole) // 2])
        say("The twin is as it was." if made(stack) == before else "The twin has changed, which must not be.")


def put(stack: Deployment, name: str, body: bytes) -> None:
    """Upload, and show what the stack makes of it."""
    typed(f"aws s3 cp {name} s3://INPUT/{FOLDER}/")
    stack.put(f"{FOLDER}/{name}", body)
    (event,) = received(stack, "Spy")
    began = time.monotonic()
    done = stack.execute(event, passed=lambda state: mark("│", state, time.monotonic() - began))
    told = received(stack, "Told")
    for heard in told:
        good = "error" not in heard["detail"]
        mark("✓" if good else "✗", styled(heard["detail-type"], BOLD), style=GREEN if good else RED)
        mark(" ", ended(heard["detail"]).replace(stack.outputs["InputBucket"], "INPUT"))
    if not told:
        mark("✓", done["output"]["why"].replace(stack.outputs["InputBucket"], "INPUT"), style=GREEN)


def ended(detail: dict[str, Any]) -> str:
    """What the event says that the rest of the account hears."""
    if "error" in detail:
        return f"{detail['error']}: {detail['cause']}"
    read, uploaded, copied = (size(detail[f"bytes_{what}"]) for what in ("read", "uploaded", "copied"))
    return f"{detail['method']}: read {read}, uploaded {uploaded}, copied inside S3 {copied}"


def made(stack: Deployment) -> bytes:
    """The output."""
    return stack.get(stack.output_uri("churn/model.tar.gz"))
