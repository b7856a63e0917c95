"""`ModelRepacker`: the whole of it as one construct, to be put into anybody's stack."""

from __future__ import annotations

from typing import Optional, Sequence

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from .batch import Batch
from .buckets import Buckets
from .doors import Doors
from .function import Function
from .machine import Machine
from .network import Network
from .permissions import Place
from .settings import Settings
from .task import Task
from .watch import Watch
from .worker import Worker

DEFAULTS = Settings()


class ModelRepacker(Construct):
    """Buckets, function, task, machines, doors and watch; what is not given is made.

    A given `input_bucket` must send its events to EventBridge. `subnet_ids` belong to a given `vpc`. The settings that
    name existing resources (`input_bucket`, `kms_key_arn`, `vpc_id` …) are the stack's to resolve and not read here.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings = DEFAULTS,
        input_bucket: Optional[s3.IBucket] = None,
        output_bucket: Optional[s3.IBucket] = None,
        key: Optional[kms.IKey] = None,
        vpc: Optional[ec2.IVpc] = None,
        subnet_ids: Sequence[str] = (),
        alarm_topic: Optional[sns.ITopic] = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.buckets = Buckets(
            self, "Buckets", input_bucket=input_bucket, output_bucket=output_bucket, key=key, keep=settings.keep_models
        )
        if vpc is None:
            network = Network(self, "Network", flow_logs=self.buckets.logs)
            vpc, subnet_ids = network.vpc, network.subnet_ids
        worker = Worker(settings, self.buckets.output, self._reads(settings), self._writes(settings), key)
        self.function = Function(self, "Function", worker).function
        task = Task(self, "Task", worker, vpc=vpc, subnet_ids=subnet_ids)
        self.machine = Machine(self, "Machine", settings=settings, function=self.function, task=task).machine
        self.batch = Batch(
            self,
            "Batch",
            settings=settings,
            repack=self.machine,
            input_bucket=self.buckets.input,
            output_bucket=self.buckets.output,
            key=key,
        ).machine
        self.doors = Doors(self, "Doors", settings=settings, input_bucket=self.buckets.input, machine=self.machine)
        self.watch = Watch(
            self,
            "Watch",
            function=self.function,
            machine=self.machine,
            batch=self.batch,
            callbacks=self.doors.callbacks,
            dead_letters=self.doors.dead_letters,
            topic=alarm_topic,
        )

    def _reads(self, settings: Settings) -> tuple[Place, ...]:
        default = [settings.hyperparameters_uri] if settings.hyperparameters_uri else []
        return (
            Place(self.buckets.input.bucket_arn, settings.input_prefix),
            *(Place.of(self, uri) for uri in settings.also_read),
            *(Place.of(self, uri, whole_key=True) for uri in default),
        )

    def _writes(self, settings: Settings) -> tuple[Place, ...]:
        return (
            Place(self.buckets.output.bucket_arn, settings.output_prefix),
            *(Place.of(self, uri) for uri in settings.also_write),
        )
