"""The CDK app. cdk-nag's AWS Solutions rules run with every synth and stop it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from .settings import StackSettings, WrongSetting
from .stack import ModelRepackerStack

PROJECT = Path(__file__).parent.parent


OUT = PROJECT / "cdk.out"


def main() -> int:
    """Synthesize; 1 and one sentence if a setting is wrong."""
    # The CDK's command line hands cdk.json's context over and says where to write; without it we do both ourselves.
    context = json.loads((PROJECT / "cdk.json").read_text())["context"]
    app = App(context=context, outdir=os.environ.get("CDK_OUTDIR", str(OUT)))
    try:
        settings = StackSettings.from_context(app.node.get_all_context() or {})
        ModelRepackerStack(app, settings.name, settings=settings)
    except WrongSetting as wrong:
        print(f"error: WrongSetting: {wrong}", file=sys.stderr)
        return 1
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
