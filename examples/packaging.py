"""A pipeline that packages a model and registers it: prints the definition.

    python -m examples.packaging [processing | lambda | callback]

DummyTraining makes the model while the pipeline runs. The repack step puts `code/` and `calibration/` into it and takes
checkpoints out; its hyperparameters stay. What extracts, copies and packs anew today is one call.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from moto import mock_aws

from examples.pipeline import BUCKET, FUNCTION, QUEUE, ROLE, registered, session_on_stand_in

with redirect_stdout(sys.stderr):  # where SDK v2 puts what it logs
    from lambda_fn.pipeline import sdk
    from lambda_fn.pipeline.builder_dummy_training_step import DummyTrainingStepBuilder
    from lambda_fn.pipeline.builder_repack_step import RepackStepBuilder
    from lambda_fn.pipeline.config_dummy_training_step import DummyTrainingConfig
    from lambda_fn.pipeline.config_repack_step import RepackStepConfig


def pipeline(where: Any, sources: Path) -> str:
    """The definition, as JSON; `sources` is the folder of what is put in."""
    session = session_on_stand_in()
    place: dict[str, Any] = {
        "pipeline_s3_loc": f"s3://{BUCKET}/churn",
        "where": where,
        "function_arn": FUNCTION,
        "queue_url": QUEUE,
    }
    pretrained = f"s3://{BUCKET}/pretrained/model.tar.gz"
    chosen = DummyTrainingConfig(**place, pretrained_model_path=pretrained, hyperparameters={"max_depth": 6})
    training = DummyTrainingStepBuilder(chosen, session, ROLE).create_step()

    edit = RepackStepConfig(
        **place,
        step_name="Packaging",
        code=sources / "code",  # becomes all of the model's code/
        files={"calibration": sources / "calibration"},  # is laid over what is there
        remove=["checkpoint-*"],
        entry_point="inference.py",
    )
    builder = RepackStepBuilder(edit, session, ROLE)
    packaging = builder.create_step(dependencies=[training])  # whose specification says which output is the model
    registration = registered(builder.model(packaging), builder.environment(), session)
    steps = [training, packaging, registration]
    return str(sdk.Pipeline(name="churn", parameters=[], steps=steps, sagemaker_session=session).definition())


def written(folder: Path) -> Path:
    """The folder, with some sources in it."""
    files = {"code/inference.py": "def model_fn(model_dir): ...\n", "calibration/calibration.json": '{"a": 0.5}\n'}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
    return folder


if __name__ == "__main__":
    with mock_aws(), redirect_stdout(sys.stderr), TemporaryDirectory() as folder:
        definition = json.loads(pipeline(sys.argv[1] if sys.argv[1:] else "processing", written(Path(folder))))
    print(json.dumps(definition, indent=2))
