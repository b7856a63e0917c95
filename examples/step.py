"""The third door: a step of a SageMaker pipeline, and the one after it, run as SageMaker would run their jobs.

The definition is what the SageMaker SDK emits. A stand-in lays out each job's /opt/ml from S3, starts its entry point
in a bare Python without a network, and carries its outputs back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
from moto import mock_aws

from examples.screen import BOLD, GREEN, mark, say, styled, trees, working
from lambda_fn.pipeline import sdk
from lambda_fn.pipeline.builder_dummy_training_step import DummyTrainingStepBuilder
from lambda_fn.pipeline.config_dummy_training_step import DummyTrainingConfig
from tests.programs import absent
from tests.stand_ins.downstream import PAYLOAD, ROLE, following
from tests.stand_ins.sagemaker import Ended, SageMaker, bare_environment

BUCKET = "my-models"
ML = "/opt/ml/processing/"


def step(model: Path, usual: float) -> None:
    """Show it with this model, beside the seconds of the usual script."""
    if absent("unshare"):
        say("Not here: this machine does not permit the namespaces (unshare) that a job's /opt/ml needs.")
        return
    with mock_aws():
        account = boto3.Session(aws_access_key_id="stand-in", aws_secret_access_key="stand-in")
        s3 = account.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.upload_file(str(model), BUCKET, "pretrained/model.tar.gz")
        with working("a pipeline's definition is emitted by the SageMaker SDK"):
            definition = emitted(account)
        place = Path("sagemaker").absolute()
        place.mkdir()
        jobs = SageMaker(s3, place, bare_environment(place / "python"))
        ended = jobs.run_pipeline(definition)
        for job in definition["Steps"]:
            show(job["Name"], job["Arguments"], ended[job["Name"]])
        found = s3.get_object(Bucket=BUCKET, Key="payload/samples.json")["Body"].read()
        say(f"The hyperparameters were found. The first payload made of them: {json.loads(found)[0]}")
        say(f"The usual script took {usual:.1f} s, and a disk three times the model; this, twice the model.")
        twin = Path("STEP/model.tar.gz")
        twin.parent.mkdir()
        s3.download_file(BUCKET, "churn/dummy_training/output/execution/model.tar.gz", str(twin))
        trees(model, twin)


def emitted(account: Any) -> Any:
    """The definition of a pipeline of two steps, as SageMaker would get it."""
    session = sdk.PipelineSession(boto_session=account, default_bucket=BUCKET)
    config = DummyTrainingConfig(
        pipeline_s3_loc=f"s3://{BUCKET}/churn",
        pretrained_model_path=f"s3://{BUCKET}/pretrained/model.tar.gz",
        hyperparameters={"depth": 6, "n_estimators": 24},
        enable_network_isolation=True,
    )
    builder = DummyTrainingStepBuilder(config, session, ROLE)
    training = builder.create_step()
    payload = following(session, Path.cwd(), "payload", PAYLOAD, builder.output(training))
    pipeline = sdk.Pipeline(name="churn", parameters=[], steps=[training, payload], sagemaker_session=session)
    return json.loads(pipeline.definition())


def show(name: str, job: Any, ended: Ended) -> None:
    """A job's inputs, what it said, and its outputs. Raises SystemExit if it failed."""
    say(f"{styled(name, BOLD)} in a bare Python without a network, below {ML}:")
    for given in job["ProcessingInputs"]:
        source = given["S3Input"]["S3Uri"]
        mark("→", f"{given['S3Input']['LocalPath'].removeprefix(ML):18} {name_of(source)}")
    for line in ended.log.splitlines():
        mark("│", line.partition(" INFO ")[2] or line)
    if ended.status:
        raise SystemExit(f"{name} failed")
    for made in job["ProcessingOutputConfig"]["Outputs"]:
        mark("←", made["S3Output"]["LocalPath"].removeprefix(ML), ended.seconds, GREEN)


def name_of(uri: Any) -> str:
    """What an input is called, if it is known before the pipeline runs."""
    return uri.rpartition("/")[2] if isinstance(uri, str) else "of the step before"
