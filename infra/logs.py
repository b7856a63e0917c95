"""One log group for each thing that runs, kept as long as the settings say and gone with the stack."""

from __future__ import annotations

from typing import Optional

from aws_cdk import Names, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from .permissions import allow
from .settings import RETENTION, Settings

MACHINE_LOGS = "Log delivery and X-Ray know no resources: Step Functions documents this statement."


def log_group_of(
    scope: Construct, settings: Settings, key: Optional[kms.IKey], name: Optional[str] = None
) -> logs.LogGroup:
    """The log group of one construct."""
    retention = logs.RetentionDays(RETENTION[settings.log_retention_days])
    group = logs.LogGroup(scope, "Logs", log_group_name=name, retention=retention, removal_policy=RemovalPolicy.DESTROY)
    if key is not None:
        # The L2's `encryption_key` would write into the policy of a key that is somebody else's.
        resource = group.node.default_child
        assert isinstance(resource, logs.CfnLogGroup)
        resource.kms_key_id = key.key_arn
    return group


def log_group_of_machine(scope: Construct, settings: Settings, key: Optional[kms.IKey]) -> logs.LogGroup:
    """The log group of a state machine.

    Under this name AWS lets its services in at once; any other adds to the account's resource policy of CloudWatch
    Logs, and where that is full (5120 characters) no state machine can be made any more.
    """
    name = Names.unique_resource_name(scope, max_length=200, separator="-")
    return log_group_of(scope, settings, key, f"/aws/vendedlogs/states/{name}")


def log_options(group: logs.ILogGroup, settings: Settings) -> sfn.LogOptions:
    """What a state machine logs: every state, and what goes through it only where that is wanted."""
    return sfn.LogOptions(destination=group, level=sfn.LogLevel.ALL, include_execution_data=settings.log_execution_data)


def machine_logs() -> list[iam.PolicyStatement]:
    """What a state machine needs to deliver its own log."""
    actions = [
        "logs:CreateLogDelivery",
        "logs:GetLogDelivery",
        "logs:UpdateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:DescribeResourcePolicies",
        "logs:DescribeLogGroups",
    ]
    return [allow(actions, "*")]
