"""A pipeline in which DummyTraining stands in for training: builds it and prints its definition.

    python -m examples.pipeline [processing | lambda | callback]

It needs a SageMaker SDK and no account: S3 is a stand-in. For a real one leave out `mock_aws`, the bucket's making and
the stand-in's keys, and put in your bucket, role, function and queue.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # SDK v3 asks for it as soon as it is imported

import boto3
from moto import mock_aws

from lambda_fn.pipeline import sdk
from lambda_fn.pipeline.builder_dummy_training_step import DummyTrainingStepBuilder
from lambda_fn.pipeline.config_dummy_training_step import DummyTrainingConfig

BUCKET = "my-models"
ROLE = "arn:aws:iam::123456789012:role/pipeline"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:repacker"
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/repacker-callbacks"


def pipeline(where: Any) -> str:
    """The definition, as JSON."""
    account = boto3.Session(aws_access_key_id="stand-in", aws_secret_access_key="stand-in")
    account.client("s3").create_bucket(Bucket=BUCKET)
    session = sdk.PipelineSession(boto_session=account, default_bucket=BUCKET)

    model = sdk.ParameterString(name="Model", default_value=f"s3://{BUCKET}/pretrained/model.tar.gz")
    config = DummyTrainingConfig(
        pipeline_s3_loc=f"s3://{BUCKET}/churn",
        pretrained_model_path=model,
        hyperparameters={"model_class": "xgboost", "max_depth": 6, "eta": 0.1},
        enable_network_isolation=True,
        where=where,
        function_arn=FUNCTION,
        queue_url=QUEUE,
    )
    builder = DummyTrainingStepBuilder(config, session, ROLE)
    training = builder.create_step()
    # What follows takes its model from builder.output(training), wherever the step runs.
    steps = sdk.Pipeline(name="churn", parameters=[model], steps=[training], sagemaker_session=session)
    return str(steps.definition())


if __name__ == "__main__":
    with mock_aws():
        print(json.dumps(json.loads(pipeline(sys.argv[1] if sys.argv[1:] else "processing")), indent=2))
