"""What AWS does not have in every region, as far as its public lists say. docs/deploy.md says what else differs."""

from __future__ import annotations

import os
from typing import Optional

from aws_cdk import Aws, CfnCondition, Fn, Stack, Token
from constructs import Construct

from .settings import Settings, WrongSetting

WITHOUT_PIPES = (
    "ap-east-2",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "il-central-1",
    "mx-central-1",
    "us-gov-east-1",
    "us-gov-west-1",
)
"""Where CloudFormation knows no EventBridge Pipes."""
CHINA = "aws-cn"
"""The partition where X-Ray does not trace functions."""


def region_of(scope: Construct) -> Optional[str]:
    """Where a stack is deployed to, if that is known already: its own region, or that of the CDK's command line."""
    region = Stack.of(scope).region
    return os.environ.get("CDK_DEFAULT_REGION") if Token.is_unresolved(region) else region


def check(scope: Construct, settings: Settings) -> None:
    """Raises WrongSetting for what CloudFormation would refuse where the stack is deployed to."""
    region = region_of(scope)
    if settings.callback_steps and region in WITHOUT_PIPES:
        raise WrongSetting(
            f"callback_steps must be false in {region}, which has no EventBridge Pipes as far as this version knows; "
            "everything else works there"
        )


def where_functions_are_traced(scope: Construct) -> CfnCondition:
    """A condition of the template."""
    china = Fn.condition_equals(Aws.PARTITION, CHINA)
    return CfnCondition(scope, "FunctionsAreTraced", expression=Fn.condition_not(china))
