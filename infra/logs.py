"""One log group for each thing that runs, kept as long as the settings say and gone with the stack."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from .permissions import allow
from .settings import RETENTION, Settings

MACHINE_LOGS = "Log delivery and X-Ray know no resources: Step Functions documents this statement."


def log_group_of(scope: Construct, settings: Settings) -> logs.LogGroup:
    """The log group of one construct."""
    retention = logs.RetentionDays(RETENTION[settings.log_retention_days])
    return logs.LogGroup(scope, "Logs", retention=retention, removal_policy=RemovalPolicy.DESTROY)


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
