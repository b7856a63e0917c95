"""A pipeline in which DummyTraining stands in for training, and its model is registered: prints the definition.

    python -m examples.pipeline [processing | lambda | callback]

It needs a SageMaker SDK and no account: S3 is a stand-in. For a real one leave out `mock_aws`, the bucket's making and
the stand-in's keys, and put in your bucket, role, function and queue.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # SDK v3 asks for it as soon as it is imported

import boto3
from moto import mock_aws

with redirect_stdout(sys.stderr):  # where SDK v2 puts what it logs
    from lambda_fn.pipeline import sdk
    from lambda_fn.pipeline.builder_dummy_training_step import DummyTrainingStepBuilder
    from lambda_fn.pipeline.config_dummy_training_step import DummyTrainingConfig

BUCKET = "my-models"
ROLE = "arn:aws:iam::123456789012:role/pipeline"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:repacker"
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/repacker-callbacks"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/serving:1"


def pipeline(where: Any) -> str:
    """The definition, as JSON."""
    session = session_on_stand_in()
    model = sdk.ParameterString(name="Model", default_value=f"s3://{BUCKET}/pretrained/model.tar.gz")
    config = DummyTrainingConfig(
        pipeline_s3_loc=f"s3://{BUCKET}/churn",
        pretrained_model_path=model,
        hyperparameters={"model_class": "xgboost", "max_depth": 6, "eta": 0.1},
        where=where,
        function_arn=FUNCTION,
        queue_url=QUEUE,
    )
    builder = DummyTrainingStepBuilder(config, session, ROLE)
    training = builder.create_step()
    environment = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    registration = registered(builder.model(training), environment, session)
    steps = sdk.Pipeline(name="churn", parameters=[model], steps=[training, registration], sagemaker_session=session)
    return str(steps.definition())


def session_on_stand_in() -> Any:
    """A pipeline session, and its bucket."""
    account = boto3.Session(aws_access_key_id="stand-in", aws_secret_access_key="stand-in")
    account.client("s3").create_bucket(Bucket=BUCKET)
    return sdk.PipelineSession(boto_session=account, default_bucket=BUCKET)


def registered(model: Any, environment: Any, session: Any) -> Any:
    """The step that registers a model, as the SDK has it.

    The model holds its code in `code/`. Since the environment says so, and no entry point is given, the SDK repacks
    nothing.
    """
    if sdk.V3:
        builder = import_module("sagemaker.serve.model_builder").ModelBuilder
        made = builder(
            s3_model_data_url=model, image_uri=IMAGE, env_vars=environment, role_arn=ROLE, sagemaker_session=session
        )
        model_step = import_module("sagemaker.mlops.workflow.model_step").ModelStep
    else:
        model_class = import_module("sagemaker.model").Model
        made = model_class(model_data=model, image_uri=IMAGE, env=environment, role=ROLE, sagemaker_session=session)
        model_step = import_module("sagemaker.workflow.model_step").ModelStep
    json_alone = ["application/json"]
    register = made.register(model_package_group_name="churn", content_types=json_alone, response_types=json_alone)
    return model_step(name="Register", step_args=register)


if __name__ == "__main__":
    with mock_aws(), redirect_stdout(sys.stderr):
        definition = json.loads(pipeline(sys.argv[1] if sys.argv[1:] else "processing"))
    print(json.dumps(definition, indent=2))
