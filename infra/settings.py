"""The deployment's configuration: every setting with its type, default, meaning and rule.

`Settings` are what a construct in anybody's stack takes; `StackSettings` name existing resources besides, and are read
from the CDK's context: `npx aws-cdk deploy -c repacker:lambda_memory_mib=3008`, or cdk.json under the same name. The
texts below the fields are the table in docs/deploy.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Mapping

if TYPE_CHECKING:
    from typing import Self

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

BATCHES = "batches/"
"""Where manifests lie in the input bucket and results in the output bucket."""
SEMAPHORES = "semaphores/"
SEMAPHORE = f"{SEMAPHORES}tasks.json"
"""The object of the output bucket that says which executions have a Fargate task."""
KNOWN_SOURCES = "known-sources/"
"""Where, in the output bucket, small objects lead from a scanned source to an output made of it. All may expire."""

PROFILES: Mapping[str, Mapping[str, Any]] = {
    "thrifty": {},
    "fast": {"lambda_memory_mib": 3538, "lambda_limit_gib": 40, "task_cpu": 2048, "task_memory_mib": 4096},
}
"""Sets of settings for a purpose; docs/cost.md computes what they bring and cost."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PREFIX = re.compile(r"(?:[^/*?$\"{}\\\s][^*?$\"{}\\]*/)?")
S3_PREFIX = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<prefix>[^*?$\"{}\\]*)")
S3_OBJECT = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^*?$\"{}\\]+")
KEY_ARN = re.compile(
    r"arn:[\w-]+:kms:[\w-]+:\d{12}:key/(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
)
TOPIC_ARN = re.compile(r"arn:[\w-]+:sns:[\w-]+:\d{12}:[\w-]+")
VPC = re.compile(r"vpc-(?:[0-9a-f]{8}|[0-9a-f]{17})")
SUBNET = re.compile(r"subnet-(?:[0-9a-f]{8}|[0-9a-f]{17})")

ACCOUNT = re.compile(r"\d{12}")
ENDPOINT = re.compile(r"https://[\w.-]+(?::\d+)?/?")
STORAGE_CLASSES = ("STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR")
"""Of objects that can be read at once."""
ACLS = ("private", "bucket-owner-read", "bucket-owner-full-control")

PREFIX_LENGTH = 200
PLACES_LENGTH = 1200
"""Characters: a role's inline policies may have 10,240 in all, and a place stands in several of them."""


class WrongSetting(ValueError):
    """A setting cannot be used; the text is one sentence that says which and why."""


@dataclass(frozen=True)
class Settings:
    """All that can be chosen without touching code; an empty string means "not given"."""

    name: str = "model-repacker"
    """This instance's name: of its stack, of its metrics' namespace and of the source of its events. A second instance
    in an account and region needs another one."""

    input_prefix: str = "models/"
    """An upload under it is repacked; empty for the whole bucket."""
    output_prefix: str = "models/"
    """Where the outputs of uploads go, under the same names."""
    hyperparameters_uri: str = ""
    """The `s3://bucket/key` of hyperparameters for uploads without a `hyperparameters.json` beside them."""
    also_read: tuple[str, ...] = ()
    """`s3://bucket/prefix`es that explicit requests may read besides the input prefix."""
    also_write: tuple[str, ...] = ()
    """`s3://bucket/prefix`es that explicit requests may write besides the output prefix."""
    bucket_owner: str = ""
    """The account that every bucket must belong to, given ones alone; otherwise the deploying one."""
    request_payer: bool = False
    """Requests to buckets where the requester pays are paid for."""
    storage_class: str = ""
    """Of outputs, such as `INTELLIGENT_TIERING`; otherwise each has that of its source."""
    acl: str = ""
    """A canned ACL of outputs, where a bucket's policy wants one: `bucket-owner-full-control`."""
    task_s3_endpoint_url: str = ""
    """Where the task finds S3, in a network whose interface endpoint has no private DNS: `https://bucket.vpce-…`."""
    keep_models: bool = True
    """Buckets that were made here stay, with all that is in them, when the stack is destroyed or no longer makes them,
    and the stack is protected from being destroyed. With `false` they go, models included."""

    architecture: str = "arm64"
    """Of the function and the task: `arm64`, a fifth cheaper, or `x86_64`."""
    lambda_memory_mib: int = 1280
    """Of the function, 512 to 10240. 1769 are one vCPU, and each of several inflates in 16 MiB; at 1280 the network
    is what a scan waits for."""
    lambda_concurrency: int = 10
    """Executions of the function at once, reserved from the account's; 0 reserves none."""
    lambda_limit_gib: int = 6
    """A larger archive goes to Fargate at once, 1 to 50."""

    ratio_limit: int = 200
    """An archive that unpacks to more than 1 GiB, and to more than so many times its size, is refused as a bomb.
    Deflate can do 1032."""

    task_cpu: int = 1024
    """CPU units of the Fargate task, 1024 are one vCPU."""
    task_memory_mib: int = 2048
    """Of the task; Fargate offers certain sizes for each `task_cpu`. A repack takes less than 200 MiB, and some 16 MiB
    for each vCPU beyond two."""

    task_concurrency: int = 0
    """Fargate tasks at once, 1 to 100; whoever finds no place waits, for a day on average. With 0 there are as many as
    the account's vCPUs allow."""

    batch_concurrency: int = 10
    """Repacks of one batch at once, 1 to 1000."""
    batch_tolerated_failure_percent: int = 5
    """A batch stops when more of its items fail, 0 to 100."""
    batch_tolerated_failures: int = 3
    """So many may fail in a small batch, where the percentage would be fewer."""

    callback_steps: bool = True
    """Callback steps of SageMaker pipelines can ask for repacks: by EventBridge Pipes, which some regions lack."""

    log_retention_days: int = 30
    """1, 7, 14, 30, 90, 180, 365, 1827 or 3653."""
    log_execution_data: bool = False
    """The machines' logs hold what goes from state to state, too: hyperparameters, and the tokens that answer for a
    task or a pipeline. The executions' own history shows it in any case, to whoever may read that."""

    def __post_init__(self) -> None:
        """Raises WrongSetting for the first value that cannot be deployed."""
        for field in fields(self):
            _check_type(field.name, str(field.type), getattr(self, field.name))
        _require(NAME.fullmatch(self.name) is not None, "name", self.name, "letters, digits and -, at most 64 of them")
        _require(not self.name.lower().startswith("aws"), "name", self.name, "one that does not begin with aws")
        self._check_places()
        self._check_s3()
        self._check_function()
        self._check_task()
        self._check_batches()
        _require(
            self.log_retention_days in RETENTION,
            "log_retention_days",
            self.log_retention_days,
            f"one of {', '.join(map(str, RETENTION))}",
        )

    @classmethod
    def of_profile(cls, profile: str, **given: Any) -> Self:
        """The settings of a profile, with those that are given over them. Raises WrongSetting."""
        _require(profile in PROFILES, "profile", profile, f"one of {', '.join(PROFILES)}")
        return cls(**{**PROFILES[profile], **given})

    def check_one_bucket(self) -> None:
        """Raises WrongSetting if input and output cannot share a bucket: what lies under the output prefix is ours."""
        ours, theirs = self.output_prefix, self.input_prefix
        _require(
            not ours.startswith(theirs) and not theirs.startswith(ours),
            "output_prefix",
            ours,
            f"neither within {theirs!r} nor around it when both lie in one bucket, or outputs would be repacked again, "
            "or uploads be taken for outputs",
        )

    def check_owner(self, makes_buckets: bool) -> None:
        """Raises WrongSetting if buckets that are made here would have to be somebody else's."""
        if self.bucket_owner and makes_buckets:
            raise WrongSetting("bucket_owner is for given buckets: give input_bucket and output_bucket, too")

    def _check_places(self) -> None:
        rule = "empty or a key prefix that ends with / and does not begin with one, without wildcards"
        for name in ("input_prefix", "output_prefix"):
            prefix = getattr(self, name)
            _require(PREFIX.fullmatch(prefix) is not None, name, prefix, rule)
            _require(len(prefix.encode()) <= PREFIX_LENGTH, name, prefix, f"at most {PREFIX_LENGTH} bytes long")
            ours = (BATCHES, KNOWN_SOURCES, SEMAPHORES)
            _require(not prefix.startswith(ours), name, prefix, f"outside {', '.join(ours)}")
        _match(S3_OBJECT, "hyperparameters_uri", self.hyperparameters_uri, "s3://bucket/key")
        for name in ("also_read", "also_write"):
            for place in getattr(self, name):
                _match(S3_PREFIX, name, place, "a list of s3://bucket/prefix")
        length = sum(len(place) for place in (*self.also_read, *self.also_write, self.hyperparameters_uri))
        _require(
            length <= PLACES_LENGTH,
            "also_read",
            length,
            f"with also_write and hyperparameters_uri at most {PLACES_LENGTH} characters, which is what the roles' "
            "policies have room for: give shorter prefixes",
        )

    def _check_s3(self) -> None:
        _match(ACCOUNT, "bucket_owner", self.bucket_owner, "the twelve digits of an account")
        _match(ENDPOINT, "task_s3_endpoint_url", self.task_s3_endpoint_url, "written like https://bucket.vpce-…")
        for name, few in (("storage_class", STORAGE_CLASSES), ("acl", ACLS)):
            given = getattr(self, name)
            _require(given in ("", *few), name, given, f"one of {', '.join(few)}")

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
        _require(1 <= self.ratio_limit <= 1032, "ratio_limit", self.ratio_limit, "between 1 and 1032")

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
        _require(0 <= self.task_concurrency <= 100, "task_concurrency", self.task_concurrency, "between 0 and 100")

    def _check_batches(self) -> None:
        for name, least, most in (
            ("batch_concurrency", 1, 1000),
            ("batch_tolerated_failure_percent", 0, 100),
            ("batch_tolerated_failures", 0, 1000),
        ):
            value = getattr(self, name)
            _require(least <= value <= most, name, value, f"between {least} and {most}")


@dataclass(frozen=True)
class StackSettings(Settings):
    """The same, with the names of what exists already, for the stack that is deployed from here."""

    input_bucket: str = ""
    """An existing bucket that sends its events to EventBridge; otherwise one is made."""
    output_bucket: str = ""
    """An existing bucket; otherwise one is made."""
    kms_key_arn: str = ""
    """An existing key for the buckets made here, all outputs, the queues and the log groups; otherwise AWS's own."""
    vpc_id: str = ""
    """An existing network for the Fargate task; otherwise one is made, which costs nothing while idle."""
    subnet_ids: tuple[str, ...] = ()
    """Of that network, with ways to ECR, CloudWatch Logs, S3 and Step Functions."""
    assign_public_ip: bool = False
    """Tasks in those subnets get public addresses: for public subnets without a NAT gateway."""
    alarm_topic_arn: str = ""
    """An existing SNS topic that every alarm tells; otherwise alarms only show."""

    def __post_init__(self) -> None:
        """Raises WrongSetting for the first value that cannot be deployed."""
        super().__post_init__()
        _match(BUCKET, "input_bucket", self.input_bucket, "a bucket's name")
        _match(BUCKET, "output_bucket", self.output_bucket, "a bucket's name")
        if self.input_bucket and self.input_bucket == self.output_bucket:
            self.check_one_bucket()
        self.check_owner(self.makes_buckets)
        _match(KEY_ARN, "kms_key_arn", self.kms_key_arn, "the ARN of a KMS key")
        _match(VPC, "vpc_id", self.vpc_id, "the id of a VPC")
        for subnet in self.subnet_ids:
            _match(SUBNET, "subnet_ids", subnet, "a list of ids of subnets")
        if bool(self.vpc_id) != bool(self.subnet_ids):
            raise WrongSetting("vpc_id and subnet_ids must be given together")
        if self.assign_public_ip and not self.vpc_id:
            raise WrongSetting("assign_public_ip is for a given vpc_id: tasks in the network made here have addresses")
        _match(TOPIC_ARN, "alarm_topic_arn", self.alarm_topic_arn, "the ARN of an SNS topic")

    @property
    def makes_buckets(self) -> bool:
        return not (self.input_bucket and self.output_bucket)

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> StackSettings:
        """The settings among a CDK context's values, which are JSON, or strings from the command line.

        Raises WrongSetting, also for a name under `repacker:` that is none of ours.
        """
        given = {name[len(CONTEXT) :]: value for name, value in context.items() if name.startswith(CONTEXT)}
        profile = str(given.pop("profile", "thrifty"))
        types = {field.name: str(field.type) for field in fields(cls)}
        for name in given:
            if name not in types:
                raise WrongSetting(f"{CONTEXT}{name} is no setting; there are {', '.join(sorted([*types, 'profile']))}")
        return cls.of_profile(profile, **{name: _parse(name, types[name], value) for name, value in given.items()})


def _parse(name: str, kind: str, value: Any) -> Any:
    """The value as the setting's type; the command line gives text for all of them."""
    if kind == "int" and isinstance(value, str) and re.fullmatch(r"[0-9]+", value):
        return int(value)
    if kind == "bool" and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if kind.startswith("tuple") and isinstance(value, (str, list)):
        items = value.split(",") if isinstance(value, str) else value
        return tuple(item.strip() if isinstance(item, str) else item for item in items if item)
    return value


def _check_type(name: str, kind: str, value: Any) -> None:
    right = {
        "int": isinstance(value, int) and not isinstance(value, bool),
        "bool": isinstance(value, bool),
        "str": isinstance(value, str),
    }.get(kind, isinstance(value, tuple) and all(isinstance(item, str) for item in value))
    expected = {"int": "a whole number", "bool": "true or false", "str": "text"}.get(kind, "a list of texts")
    _require(right, name, value, expected)


def _match(pattern: re.Pattern[str], name: str, value: str, rule: str) -> None:
    _require(not value or pattern.fullmatch(value) is not None, name, value, rule)


def _require(holds: bool, name: str, value: object, rule: str) -> None:
    if not holds:
        raise WrongSetting(f"{name} must be {rule}, not {value!r}")
