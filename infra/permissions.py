"""Who may do what, written out, and the words with which a finding is accepted.

No `grant_*`: those give what a caller might need; these give what the code calls, on the prefixes where it calls it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from aws_cdk import Acknowledgment, Aws, Stack, Token, Validations
from aws_cdk import aws_iam as iam
from constructs import IConstruct

from .settings import S3_PREFIX


@dataclass(frozen=True)
class Place:
    """The objects of one bucket whose keys begin with a prefix, or the one object of that key."""

    bucket_arn: str
    prefix: str
    whole_key: bool = False

    @property
    def objects(self) -> str:
        return f"{self.bucket_arn}/{self.prefix}{'' if self.whole_key else '*'}"

    @classmethod
    def of(cls, scope: IConstruct, uri: str, whole_key: bool = False) -> Place:
        """The place that an s3:// URI of the settings names."""
        match = S3_PREFIX.fullmatch(uri)
        assert match is not None, "settings are checked before they come here"
        bucket = Stack.of(scope).format_arn(service="s3", region="", account="", resource=match["bucket"])
        return cls(bucket, match["prefix"], whole_key)


def allow(actions: Sequence[str], *resources: str, **conditions: Mapping[str, object]) -> iam.PolicyStatement:
    """One statement; conditions by operator, as in `StringEquals={...}`."""
    return iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=conditions or None)


def service(name: str) -> iam.ServicePrincipal:
    """An AWS service as the one who takes a role, and only where it acts for this account."""
    return iam.ServicePrincipal(name, conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}})


def tracing() -> iam.PolicyStatement:
    """X-Ray knows no resources: this is its documented smallest statement."""
    return allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "*")


def tracing_machine() -> iam.PolicyStatement:
    """A state machine asks X-Ray for its sampling rules, too."""
    sampling = ["xray:GetSamplingRules", "xray:GetSamplingTargets"]
    return allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords", *sampling], "*")


def writing_logs(log_group_arn: str) -> iam.PolicyStatement:
    """To the streams of one log group."""
    return allow(["logs:CreateLogStream", "logs:PutLogEvents"], log_group_arn)


def accept(scope: IConstruct, reason: str, *findings: str) -> None:
    """Record that these findings of cdk-nag stand below `scope`, and why."""
    rules = [Acknowledgment(id=f"AwsSolutions-{finding}", reason=reason) for finding in findings]
    Validations.of(scope).acknowledge(*rules)


def accept_wildcards(scope: IConstruct, reason: str, *resources: str) -> None:
    """The same for the wildcards in a policy's resources, as they stand in the template."""
    stack = Stack.of(scope)
    for resource in resources:
        accept(scope, reason, f"IAM5[Resource::{_as_found(stack, resource)}]")


def _as_found(stack: Stack, resource: str) -> str:
    """A resource in cdk-nag's spelling, where <Id.Attribute> stands for a reference."""
    if not Token.is_unresolved(resource):
        return resource
    resolved = stack.resolve(resource)
    pieces = resolved["Fn::Join"][1] if "Fn::Join" in resolved else [resolved]
    return "".join(piece if isinstance(piece, str) else _reference(piece) for piece in pieces)


def _reference(piece: Mapping[str, Any]) -> str:
    if "Ref" in piece:
        return f"<{piece['Ref']}>"
    name, attribute = piece["Fn::GetAtt"]
    return f"<{name}.{attribute}>"
