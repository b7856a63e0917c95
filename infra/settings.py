"""The deployment's configuration: every setting with its type, default and rule, read from the CDK's context.

A setting is given as `npx aws-cdk deploy -c repacker:lambda_memory_mib=3008`, or in cdk.json under the same name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, Mapping

CONTEXT = "repacker:"

ARCHITECTURES = ("arm64", "x86_64")
RETENTION = {
    1: "ONE_DAY",
    7: "ONE_WEEK",
    14: "TWO_WEEKS",
    30: "ONE_MONTH",
    90: "THREE_MONTHS",
    180: "SIX_MONTHS",
    365: "ONE_YEAR",
    1827: "FIVE_YEARS",
    3653: "TEN_YEARS",
}
"""Days that CloudWatch Logs can keep → the CDK's name for them."""
FARGATE_MEMORY_GIB = {
    256: (1, 2),
    512: range(1, 5),
    1024: range(2, 9),
    2048: range(4, 17),
    4096: range(8, 31),
    8192: range(16, 61, 4),
    16384: range(32, 121, 8),
}
"""What Fargate offers: CPU units → GiB of memory."""

BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PREFIX = re.compile(r"(?:[^/*?$\"{}\\\s][^*?$\"{}\\]*/)?")
S3_PREFIX = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<prefix>[^*?$\"{}\\]*)")
S3_OBJECT = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^*?$\"{}\\]+")
KEY_ARN = re.compile(r"arn:[\w-]+:kms:[\w-]+:\d{12}:key/[\w-]+")
TOPIC_ARN = re.compile(r"arn:[\w-]+:sns:[\w-]+:\d{12}:[\w-]+")
VPC = re.compile(r"vpc-[0-9a-f]+")
SUBNET = re.compile(r"subnet-[0-9a-f]+")


class WrongSetting(ValueError):
    """A setting cannot be used; the text is one sentence that says which and why."""


@dataclass(frozen=True)
class Settings:
    """All that can be chosen without touching code; an empty string means "not given"."""

    input_bucket: str = ""
    """An existing bucket that sends its events to EventBridge; otherwise one is made."""
    output_bucket: str = ""
    """An existing bucket; otherwise one is made."""
    input_prefix: str = "models/"
    """An upload under it is repacked; empty for the whole bucket."""
    output_prefix: str = "models/"
    """Where the outputs of uploads go, under the same names."""
    hyperparameters_uri: str = ""
    """The default for uploads without a `hyperparameters.json` beside them."""
    also_read: tuple[str, ...] = ()
    """`s3://bucket/prefix`es that explicit requests may read besides the input prefix."""
    also_write: tuple[str, ...] = ()
    """`s3://bucket/prefix`es that explicit requests may write besides the output prefix."""
    kms_key_arn: str = ""
    """An existing key for both buckets; otherwise S3's own encryption."""
    keep_models: bool = False
    """Destroying the stack keeps the buckets that it made, and what is in them."""

    architecture: str = "arm64"
    lambda_memory_mib: int = 1769
    """1769 MiB are one whole vCPU: a scan is one thread that inflates."""
    lambda_concurrency: int = 10
    """Reserved for the function; 0 reserves none."""
    lambda_limit_gib: int = 10
    """A larger archive goes to Fargate at once."""

    task_cpu: int = 1024
    task_memory_mib: int = 2048
    vpc_id: str = ""
    """An existing network for the Fargate task; otherwise one is made."""
    subnet_ids: tuple[str, ...] = ()
    """Of that network."""
    assign_public_ip: bool = True
    """False for private subnets that reach ECR, CloudWatch Logs, S3 and Step Functions by themselves."""

    batch_concurrency: int = 10
    batch_tolerated_failure_percent: int = 5

    log_retention_days: int = 30
    alarm_topic_arn: str = ""
    """An existing SNS topic that every alarm tells; otherwise alarms only show."""

    def __post_init__(self) -> None:
        """Raises WrongSetting for the first value that cannot be deployed."""
        self._check_places()
        self._check_function()
        self._check_task()
        _require(0 < self.batch_concurrency <= 1000, "batch_concurrency", self.batch_concurrency, "between 1 and 1000")
        _require(
            0 <= self.batch_tolerated_failure_percent <= 100,
            "batch_tolerated_failure_percent",
            self.batch_tolerated_failure_percent,
            "between 0 and 100",
        )
        _require(
            self.log_retention_days in RETENTION,
            "log_retention_days",
            self.log_retention_days,
            f"one of {', '.join(map(str, RETENTION))}",
        )
        _match(TOPIC_ARN, "alarm_topic_arn", self.alarm_topic_arn, "the ARN of an SNS topic")

    def _check_places(self) -> None:
        _match(BUCKET, "input_bucket", self.input_bucket, "a bucket's name")
        _match(BUCKET, "output_bucket", self.output_bucket, "a bucket's name")
        rule = "empty or a key prefix that ends with / and does not begin with one, without wildcards"
        for name in ("input_prefix", "output_prefix"):
            _require(PREFIX.fullmatch(getattr(self, name)) is not None, name, getattr(self, name), rule)
        _match(S3_OBJECT, "hyperparameters_uri", self.hyperparameters_uri, "s3://bucket/key")
        for name in ("also_read", "also_write"):
            for place in getattr(self, name):
                _match(S3_PREFIX, name, place, "a list of s3://bucket/prefix")
        _match(KEY_ARN, "kms_key_arn", self.kms_key_arn, "the ARN of a KMS key")
        if self.input_bucket and self.input_bucket == self.output_bucket:
            _require(
                not self.output_prefix.startswith(self.input_prefix),
                "output_prefix",
                self.output_prefix,
                f"outside {self.input_prefix!r} when both lie in one bucket, or outputs would be repacked again",
            )

    def _check_function(self) -> None:
        _require(
            self.architecture in ARCHITECTURES, "architecture", self.architecture, f"one of {', '.join(ARCHITECTURES)}"
        )
        memory = self.lambda_memory_mib
        _require(512 <= memory <= 10240, "lambda_memory_mib", memory, "between 512 and 10240")
        _require(
            0 <= self.lambda_concurrency <= 1000, "lambda_concurrency", self.lambda_concurrency, "between 0 and 1000"
        )
        _require(0 < self.lambda_limit_gib <= 50, "lambda_limit_gib", self.lambda_limit_gib, "between 1 and 50")

    def _check_task(self) -> None:
        sizes = FARGATE_MEMORY_GIB.get(self.task_cpu)
        if sizes is None:
            raise WrongSetting(
                f"task_cpu must be one of {', '.join(map(str, FARGATE_MEMORY_GIB))}, not {self.task_cpu}"
            )
        _require(
            self.task_memory_mib in [gib * 1024 for gib in sizes],
            "task_memory_mib",
            self.task_memory_mib,
            f"one of {', '.join(str(gib * 1024) for gib in sizes)} with task_cpu {self.task_cpu}",
        )
        _match(VPC, "vpc_id", self.vpc_id, "the id of a VPC")
        for subnet in self.subnet_ids:
            _match(SUBNET, "subnet_ids", subnet, "a list of ids of subnets")
        if bool(self.vpc_id) != bool(self.subnet_ids):
            raise WrongSetting("vpc_id and subnet_ids must be given together")
        if not self.assign_public_ip and not self.vpc_id:
            raise WrongSetting("assign_public_ip can be false only with vpc_id: the network made here has no NAT")

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> Settings:
        """The settings among a CDK context's values, which are JSON, or strings from the command line.

        Raises WrongSetting, also for a name under `repacker:` that is none of ours.
        """
        given = {name[len(CONTEXT) :]: value for name, value in context.items() if name.startswith(CONTEXT)}
        types = {field.name: field.type for field in fields(cls)}
        for name in given:
            if name not in types:
                raise WrongSetting(f"{CONTEXT}{name} is no setting; there are {', '.join(sorted(types))}")
        return cls(**{name: _parse(name, str(types[name]), value) for name, value in given.items()})


def _parse(name: str, kind: str, value: Any) -> Any:
    """The value as the setting's type; the command line gives text for all of them."""
    if kind == "int" and isinstance(value, (int, str)) and re.fullmatch(r"\d+", str(value)):
        return int(value)
    if kind == "bool" and str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    if kind == "str" and isinstance(value, str):
        return value
    if kind.startswith("tuple"):
        items = value.split(",") if isinstance(value, str) else value
        if isinstance(items, list) and all(isinstance(item, str) for item in items):
            return tuple(item.strip() for item in items if item.strip())
    expected = {"int": "a whole number", "bool": "true or false", "str": "text"}.get(kind, "a list of texts")
    raise WrongSetting(f"{name} must be {expected}, not {value!r}")


def _match(pattern: re.Pattern[str], name: str, value: str, rule: str) -> None:
    _require(not value or pattern.fullmatch(value) is not None, name, value, rule)


def _require(holds: bool, name: str, value: object, rule: str) -> None:
    if not holds:
        raise WrongSetting(f"{name} must be {rule}, not {value!r}")
