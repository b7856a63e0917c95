"""One stack around one `ModelRepacker`: names of existing things become constructs, results become outputs."""

from __future__ import annotations

from typing import Any, Iterator, Optional

from aws_cdk import Aws, CfnOutput, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from .asset import version
from .repacker import ModelRepacker
from .settings import StackSettings


class ModelRepackerStack(Stack):
    """What `cdk deploy` deploys; protected from `destroy` where that would leave buckets behind."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StackSettings, **kwargs: Any) -> None:
        protected = settings.makes_buckets and settings.keep_models
        super().__init__(scope, construct_id, **{"termination_protection": protected, **kwargs})
        vpc = self._vpc(settings)
        self.repacker = ModelRepacker(
            self,
            "Repacker",
            settings=settings,
            input_bucket=self._bucket("Input", settings.input_bucket),
            output_bucket=self._bucket("Output", settings.output_bucket),
            key=kms.Key.from_key_arn(self, "Key", settings.kms_key_arn) if settings.kms_key_arn else None,
            vpc=vpc,
            subnets=self._subnets(settings) if vpc else None,
            assign_public_ip=settings.assign_public_ip if vpc else None,
            alarm_topic=(
                sns.Topic.from_topic_arn(self, "Topic", settings.alarm_topic_arn) if settings.alarm_topic_arn else None
            ),
        )
        for name, value, description in self._results(settings):
            CfnOutput(self, name, value=value, description=description)

    def _results(self, settings: StackSettings) -> Iterator[tuple[str, str, str]]:
        """Name, value and meaning of each output."""
        of = self.repacker
        yield "Version", version(), "What is deployed; CHANGELOG.md tells what it can do"
        kept = "kept with its content when the stack is destroyed"
        gone = "destroyed with its content when the stack is"
        end = kept if settings.keep_models else gone
        yield (
            "InputBucket",
            of.buckets.input.bucket_name,
            f"Where models arrive; {'yours' if settings.input_bucket else end}",
        )
        yield (
            "OutputBucket",
            of.buckets.output.bucket_name,
            f"Where repacked ones appear; {'yours' if settings.output_bucket else end}",
        )
        yield "StateMachineArn", of.machine.state_machine_arn, "Repacks what a request names; start it with one"
        yield "BatchMachineArn", of.batch.state_machine_arn, "Repacks many: a manifest, or all under a prefix"
        if of.doors.callbacks is not None:
            yield "CallbackQueueUrl", of.doors.callbacks.queue_url, "For a SageMaker pipeline's callback step"
            yield "CallbackQueueArn", of.doors.callbacks.queue_arn, "The same, for the policy of the pipeline's role"
        yield "FunctionArn", of.function.function_arn, "Plans every repack, and carries out those that fit"
        yield (
            "UploadLettersUrl",
            of.doors.upload_letters.queue_url,
            "Dead letters: events of uploads that started nothing",
        )
        if of.doors.callback_letters is not None:
            yield (
                "CallbackLettersArn",
                of.doors.callback_letters.queue_arn,
                "Dead letters: messages of callback steps that started nothing",
            )
        yield "Dashboard", of.watch.dashboard.dashboard_name, "In CloudWatch"
        for alarm in of.watch.alarms:
            yield f"{alarm.node.id}Alarm", alarm.alarm_name, "What to do: docs/operate.md"
        for name, group in of.log_groups.items():
            yield f"{name}Logs", group.log_group_name, f"Log group, kept for {settings.log_retention_days} days"

    def _bucket(self, name: str, existing: str) -> Optional[s3.IBucket]:
        return s3.Bucket.from_bucket_name(self, name, existing) if existing else None

    def _vpc(self, settings: StackSettings) -> Optional[ec2.IVpc]:
        if not settings.vpc_id:
            return None
        return ec2.Vpc.from_vpc_attributes(self, "Vpc", vpc_id=settings.vpc_id, availability_zones=[f"{Aws.REGION}a"])

    def _subnets(self, settings: StackSettings) -> ec2.SubnetSelection:
        subnets = [ec2.Subnet.from_subnet_id(self, subnet, subnet) for subnet in settings.subnet_ids]
        return ec2.SubnetSelection(subnets=subnets)
