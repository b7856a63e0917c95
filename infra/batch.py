"""Thousands of repacks: a Distributed Map that starts the state machine once for each line or object.

Its input is {"manifest": key} for a CSV under `batches/` of the input bucket, whose header names fields of a Request;
or {"prefix": prefix} for the models that already lie there under the input prefix, as if each had just arrived. The
function checks it first, and says how many failures a batch of that size tolerates.
Its result manifest lies under `batches/` of the output bucket.
"""

from __future__ import annotations

from typing import Any, Optional

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from .doors import MODELS
from .logs import MACHINE_LOGS, log_group_of_machine, log_options, machine_logs
from .machine import BUSY, LINKED, as_child, executions, invoke, retry
from .permissions import Place, accept_wildcards, allow, service, tracing_machine
from .settings import BATCHES, Settings

SYNC_RULE = "StepFunctionsGetEventsForStepFunctionsExecutionRule"


class Batch(Construct):
    """`machine`: the Standard state machine of many repacks."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        function: lambda_.IFunction,
        repack: sfn.StateMachine,
        input_bucket: s3.IBucket,
        output_bucket: s3.IBucket,
        key: Optional[kms.IKey],
    ) -> None:
        super().__init__(scope, construct_id)
        self.log_group = log_group_of_machine(self, settings, key)
        role = self._role(function, repack, settings, input_bucket, output_bucket, key)
        buckets = (input_bucket.bucket_name, output_bucket.bucket_name)
        definition = _definition(settings, function.function_arn, repack.state_machine_arn, *buckets)
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            state_machine_type=sfn.StateMachineType.STANDARD,
            definition_body=sfn.DefinitionBody.from_string(Stack.of(self).to_json_string(definition)),
            role=role.without_policy_updates(),
            logs=log_options(self.log_group, settings),
            tracing_enabled=True,
        )
        self._allow_own_executions(role)

    def _role(
        self,
        function: lambda_.IFunction,
        repack: sfn.StateMachine,
        settings: Settings,
        input_bucket: s3.IBucket,
        output_bucket: s3.IBucket,
        key: Optional[kms.IKey],
    ) -> iam.Role:
        stack = Stack.of(self)
        manifests = Place(input_bucket.bucket_arn, BATCHES).objects
        results = Place(output_bucket.bucket_arn, BATCHES).objects
        children = executions(repack, ":*")
        statements = [
            allow(["lambda:InvokeFunction"], function.function_arn),
            allow(["states:StartExecution"], repack.state_machine_arn),
            allow(["states:DescribeExecution", "states:StopExecution"], children),
            allow(
                ["events:PutTargets", "events:PutRule", "events:DescribeRule"],
                stack.format_arn(service="events", resource="rule", resource_name=SYNC_RULE),
            ),
            allow(["s3:GetObject"], manifests),
            allow(["s3:ListBucket"], input_bucket.bucket_arn, StringLike={"s3:prefix": f"{settings.input_prefix}*"}),
            allow(["s3:PutObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"], results),
        ]
        if key is not None:
            statements.append(allow(["kms:Decrypt", "kms:GenerateDataKey"], key.key_arn))
        role = iam.Role(
            self,
            "Role",
            assumed_by=service("states.amazonaws.com"),
            inline_policies={
                "Run": iam.PolicyDocument(statements=statements),
                "Tell": iam.PolicyDocument(statements=[*machine_logs(), tracing_machine()]),
            },
        )
        accept_wildcards(role, MACHINE_LOGS, "*")
        accept_wildcards(role, "Executions get their names when they start.", children)
        accept_wildcards(role, "All objects under batches/, and only there.", manifests, results)
        return role

    def _allow_own_executions(self, role: iam.Role) -> None:
        """A Distributed Map runs as executions of its own machine, which exists only now."""
        children = executions(self.machine, "/*")
        statements = [
            allow(["states:StartExecution"], self.machine.state_machine_arn),
            allow(["states:DescribeExecution", "states:StopExecution"], children),
        ]
        policy = iam.Policy(self, "OwnExecutions", roles=[role], statements=statements)
        accept_wildcards(policy, "Executions get their names when they start.", children)


def _definition(
    settings: Settings, function_arn: str, repack_arn: str, input_bucket: str, output_bucket: str
) -> dict[str, Any]:
    check = {
        "action": "batch",
        "batch.$": "$",
        "bucket": input_bucket,
        "tolerated_percent": settings.batch_tolerated_failure_percent,
        "tolerated_least": settings.batch_tolerated_failures,
    }
    results = {
        "Resource": f"arn:{Aws.PARTITION}:states:::s3:putObject",
        "Parameters": {"Bucket": output_bucket, "Prefix": BATCHES.rstrip("/")},
    }
    common = {
        "Type": "Map",
        "MaxConcurrency": settings.batch_concurrency,
        "ToleratedFailureCountPath": "$.tolerated.count",
        "ToleratedFailurePercentagePath": "$.tolerated.percent",
        "ResultWriter": results,
        "End": True,
    }
    return {
        "Comment": "Many repacks: one for each line of a manifest or each model under a prefix",
        "StartAt": "What to repack",
        "States": {
            "What to repack": {
                "Type": "Pass",
                "Parameters": {"ask": check},
                "Next": "Check it",
            },
            "Check it": {**invoke(function_arn, "$.ask"), "OutputPath": "$.Payload", "Next": "Lines or objects?"},
            "Lines or objects?": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$['where']", "StringEquals": "lines", "Next": "Each line"},
                    {"Variable": "$['where']", "StringEquals": "objects", "Next": "Each object"},
                ],
                "Default": "Refused",
            },
            "Refused": {"Type": "Fail", "Error": "InvalidRequest", "CausePath": "$.why"},
            "Each line": {**common, **_lines(input_bucket, repack_arn)},
            "Each object": {**common, **_objects(input_bucket, repack_arn)},
        },
    }


def _lines(input_bucket: str, repack_arn: str) -> dict[str, Any]:
    """A Map's items from a CSV: each line is a Request."""
    reader = {
        "Resource": f"arn:{Aws.PARTITION}:states:::s3:getObject",
        "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
        "Parameters": {"Bucket": input_bucket, "Key.$": "$.manifest"},
    }
    return {
        "Label": "Lines",
        "ItemReader": reader,
        "ItemSelector": as_child("$$.Map.Item.Value"),
        "ItemProcessor": _processor("Repack line", {"Repack line": _start(repack_arn)}),
    }


def _objects(input_bucket: str, repack_arn: str) -> dict[str, Any]:
    """A Map's items from a listing: each model is repacked as if it had just been uploaded."""
    reader = {
        "Resource": f"arn:{Aws.PARTITION}:states:::s3:listObjectsV2",
        "Parameters": {"Bucket": input_bucket, "Prefix.$": "$.prefix"},
    }
    as_if_uploaded = {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": input_bucket}, "object": {"key.$": "$$.Map.Item.Value.Key"}},
    }
    models = {
        "A model?": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.input.detail.object.key", "StringMatches": name, "Next": "Repack object"}
                for name in MODELS
            ],
            "Default": "No model",
        },
        "No model": {"Type": "Succeed"},
        "Repack object": _start(repack_arn),
    }
    processor = _processor("A model?", models)
    return {
        "Label": "Objects",
        "ItemReader": reader,
        "ItemSelector": as_child(as_if_uploaded),
        "ItemProcessor": processor,
    }


def _processor(start: str, states: dict[str, Any]) -> dict[str, Any]:
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    return {"ProcessorConfig": config, "StartAt": start, "States": states}


def _start(repack_arn: str) -> dict[str, Any]:
    """The state that runs the whole item through the other machine and takes its Result."""
    return {
        "Type": "Task",
        "Resource": f"arn:{Aws.PARTITION}:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": repack_arn, "Name.$": "States.UUID()", "Input.$": LINKED},
        "Retry": [retry(BUSY, longest=300)],
        "OutputPath": "$.Output",
        "End": True,
    }
