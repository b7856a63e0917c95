"""One stack around one `ModelRepacker`: names of existing things become constructs, results become outputs."""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, CfnOutput, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from .repacker import ModelRepacker
from .settings import Settings


class ModelRepackerStack(Stack):
    """What `cdk deploy` deploys."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, **kwargs: Any) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self.repacker = ModelRepacker(
            self,
            "Repacker",
            settings=settings,
            input_bucket=self._bucket("Input", settings.input_bucket),
            output_bucket=self._bucket("Output", settings.output_bucket),
            key=kms.Key.from_key_arn(self, "Key", settings.kms_key_arn) if settings.kms_key_arn else None,
            vpc=self._vpc(settings),
            subnet_ids=settings.subnet_ids,
            alarm_topic=(
                sns.Topic.from_topic_arn(self, "Topic", settings.alarm_topic_arn) if settings.alarm_topic_arn else None
            ),
        )
        outputs = {
            "InputBucket": self.repacker.buckets.input.bucket_name,
            "OutputBucket": self.repacker.buckets.output.bucket_name,
            "FunctionArn": self.repacker.function.function_arn,
            "StateMachineArn": self.repacker.machine.state_machine_arn,
            "BatchMachineArn": self.repacker.batch.state_machine_arn,
            "CallbackQueueUrl": self.repacker.doors.callbacks.queue_url,
        }
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)

    def _bucket(self, name: str, existing: str) -> s3.IBucket | None:
        return s3.Bucket.from_bucket_name(self, name, existing) if existing else None

    def _vpc(self, settings: Settings) -> ec2.IVpc | None:
        if not settings.vpc_id:
            return None
        return ec2.Vpc.from_vpc_attributes(self, "Vpc", vpc_id=settings.vpc_id, availability_zones=[f"{Aws.REGION}a"])
