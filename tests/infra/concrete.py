"""The template as CloudFormation hands it to the services: values in place of references."""

from __future__ import annotations

import json
import re
from typing import Any, Iterator

ACCOUNT = "123456789012"
ID = "A" * 12
"""What CloudFormation adds to the names that it makes."""
NAMED = {
    "AWS::Lambda::Function": "arn:{partition}:lambda:{region}:{account}:function:{name}",
    "AWS::StepFunctions::StateMachine": "arn:{partition}:states:{region}:{account}:stateMachine:{name}",
    "AWS::ECS::TaskDefinition": "arn:{partition}:ecs:{region}:{account}:task-definition/{name}:1",
    "AWS::ECS::Cluster": "arn:{partition}:ecs:{region}:{account}:cluster/{name}",
    "AWS::IAM::Role": "arn:{partition}:iam::{account}:role/{name}",
    "AWS::S3::Bucket": "arn:{partition}:s3:::{name}",
    "AWS::SQS::Queue": "arn:{partition}:sqs:{region}:{account}:{name}",
    "AWS::Logs::LogGroup": "arn:{partition}:logs:{region}:{account}:log-group:{name}:*",
    "AWS::EC2::Subnet": "subnet-0123456789abcdef0",
    "AWS::EC2::SecurityGroup": "sg-0123456789abcdef0",
}
NO_VALUE = "AWS::NoValue"
"""A reference to it is as if nothing stood there."""
REF_IS_ARN = {"AWS::StepFunctions::StateMachine", "AWS::ECS::TaskDefinition", "AWS::EC2::Subnet"}

Json = dict[str, Any]


class Concrete:
    """A template's resources with every reference resolved, in one partition and region."""

    def __init__(self, template: Json, partition: str = "aws", region: str = "eu-west-1", stack: str = "") -> None:
        self._template = template
        self._known = {
            "AWS::Partition": partition,
            "AWS::Region": region,
            "AWS::AccountId": ACCOUNT,
            "AWS::URLSuffix": "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com",
            "AWS::StackName": stack or "model-repacker",
            "BootstrapVersion": "30",
        }

    def resources(self, kind: str) -> dict[str, Json]:
        """Logical id → properties."""
        return {
            name: self.resolved(item.get("Properties", {}))
            for name, item in self._template["Resources"].items()
            if item["Type"] == kind
        }

    def machines(self) -> dict[str, Json]:
        """Logical id → definition."""
        machines = self.resources("AWS::StepFunctions::StateMachine")
        return {name: json.loads(of["DefinitionString"]) for name, of in machines.items()}

    def resolved(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.resolved(item) for item in value]
        if not isinstance(value, dict):
            return value
        match value:
            case {"Ref": str(name)}:
                return self._ref(name)
            case {"Fn::GetAtt": [str(name), str(attribute)]}:
                return self._attribute(name, attribute)
            case {"Fn::Join": [str(between), list(pieces)]}:
                return between.join(str(self.resolved(piece)) for piece in pieces)
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([\w:]+)\}", lambda found: self._ref(found[1]), text)
            case {"Fn::If": [str(condition), yes, no]}:
                return self.resolved(yes if self._holds(self._template["Conditions"][condition]) else no)
            case {"Fn::Select": [index, {"Fn::GetAZs": _}]}:
                return f"{self._known['AWS::Region']}{'abc'[int(index)]}"
        resolved = {name: self.resolved(item) for name, item in value.items()}
        return {name: item for name, item in resolved.items() if item != NO_VALUE}

    def _holds(self, condition: Json) -> bool:
        match condition:
            case {"Fn::Not": [dict(of)]}:
                return not self._holds(of)
            case {"Fn::Equals": [one, other]}:
                return bool(self.resolved(one) == self.resolved(other))
        raise AssertionError(f"nobody knows {condition} here")

    def _ref(self, name: str) -> str:
        if name == NO_VALUE:
            return NO_VALUE
        if name in self._known:
            return self._known[name]
        kind = self._template["Resources"][name]["Type"]
        if kind in REF_IS_ARN:
            return self._attribute(name, "Arn")
        if kind == "AWS::SQS::Queue":
            return (
                f"https://sqs.{self._known['AWS::Region']}.{self._known['AWS::URLSuffix']}/{ACCOUNT}/{self._name(name)}"
            )
        return self._name(name)

    def _attribute(self, name: str, attribute: str) -> str:
        kind = self._template["Resources"][name]["Type"]
        if attribute in ("Arn", "GroupId") and kind in NAMED:
            return NAMED[kind].format(
                partition=self._known["AWS::Partition"],
                region=self._known["AWS::Region"],
                account=ACCOUNT,
                name=self._name(name),
            )
        return self._name(name)

    def _name(self, name: str) -> str:
        """As CloudFormation makes it: the stack's name, the logical id, and something random, cut to 64 or so."""
        made = f"{self._known['AWS::StackName']}-{name}"[: 63 - len(ID)] + f"-{ID}"
        return made.lower() if self._template["Resources"][name]["Type"] == "AWS::S3::Bucket" else made


def blocks(definition: Json) -> Iterator[Json]:
    """The definition, and every Map's processor in it: what has StartAt and States."""
    yield definition
    for state in definition["States"].values():
        if "ItemProcessor" in state:
            yield from blocks(state["ItemProcessor"])


def states(definition: Json) -> list[tuple[str, Json]]:
    """Every state, nested ones included."""
    return [item for block in blocks(definition) for item in block["States"].items()]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every plain value with the path to it."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, f"{path}/{name}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from leaves(item, f"{path}/{number}")
    else:
        yield path, value
