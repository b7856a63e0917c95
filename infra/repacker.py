"""`ModelRepacker`: the whole of it as one construct, to be put into anybody's stack."""

from __future__ import annotations

from typing import Optional

from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from .batch import Batch
from .buckets import Buckets
from .doors import Doors
from .function import Function
from .machine import Machine, executions
from .network import Network
from .permissions import Place
from .regions import check
from .settings import SEMAPHORE, Settings, WrongSetting
from .task import Task
from .watch import Watch
from .worker import Worker

DEFAULTS = Settings()


class ModelRepacker(Construct):
    """Buckets, function, task, machines, doors and watch; what is not given is made.

    A given `input_bucket` must send its events to EventBridge; a given `key` must let CloudWatch Logs, SQS's senders
    and the account's roles use it (docs/deploy.md). Tasks run in `subnets` of the `vpc`, by default its private ones,
    and get public addresses if those are public, unless `assign_public_ip` says otherwise. Raises WrongSetting.
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
        subnets: Optional[ec2.SubnetSelection] = None,
        assign_public_ip: Optional[bool] = None,
        alarm_topic: Optional[sns.ITopic] = None,
    ) -> None:
        super().__init__(scope, construct_id)
        if subnets is not None and vpc is None:
            raise WrongSetting("subnets are those of a given vpc: give it, too")
        settings.check_owner(makes_buckets=input_bucket is None or output_bucket is None)
        if input_bucket is not None and output_bucket is not None and _same(self, input_bucket, output_bucket):
            settings.check_one_bucket()
        check(self, settings)
        self.buckets = Buckets(
            self, "Buckets", input_bucket=input_bucket, output_bucket=output_bucket, key=key, keep=settings.keep_models
        )
        if vpc is None:
            vpc = Network(self, "Network", flow_logs=self.buckets.logs).vpc
        subnet_ids, public = _chosen(vpc, subnets or ec2.SubnetSelection())
        worker = Worker(
            settings, self.buckets.input, self.buckets.output, self._reads(settings), self._writes(settings), key
        )
        function = Function(self, "Function", worker)
        task = Task(
            self,
            "Task",
            worker,
            vpc=vpc,
            subnet_ids=subnet_ids,
            assign_public_ip=public if assign_public_ip is None else assign_public_ip,
        )
        machine = Machine(
            self,
            "Machine",
            settings=settings,
            function=function.function,
            task=task,
            semaphore=f"s3://{self.buckets.output.bucket_name}/{SEMAPHORE}",
            key=key,
        )
        if settings.task_concurrency:
            semaphore = Place(self.buckets.output.bucket_arn, SEMAPHORE, whole_key=True)
            function.may_give_places(worker, semaphore.objects, executions(machine.machine, ":*"))
        batch = Batch(
            self,
            "Batch",
            settings=settings,
            function=function.function,
            repack=machine.machine,
            input_bucket=self.buckets.input,
            output_bucket=self.buckets.output,
            key=key,
        )
        self.function, self.machine, self.batch = function.function, machine.machine, batch.machine
        self.log_groups = {
            "Function": function.log_group,
            "Task": task.log_group,
            "Machine": machine.log_group,
            "Batch": batch.log_group,
        }
        self.doors = Doors(
            self, "Doors", settings=settings, input_bucket=self.buckets.input, machine=self.machine, key=key
        )
        self.watch = Watch(
            self,
            "Watch",
            settings=settings,
            function=self.function,
            machine=self.machine,
            batch=self.batch,
            doors=self.doors,
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


def _chosen(vpc: ec2.IVpc, selection: ec2.SubnetSelection) -> tuple[list[str], bool]:
    """The ids of the subnets, and whether they are public."""
    if selection.subnets:
        # Not through the network's own selection, which asks each for its zone: one given by its id alone has none.
        public = {subnet.subnet_id for subnet in vpc.public_subnets}
        ids = [subnet.subnet_id for subnet in selection.subnets]
        return ids, not public.isdisjoint(ids)
    chosen = vpc.select_subnets(
        availability_zones=selection.availability_zones,
        one_per_az=selection.one_per_az,
        subnet_filters=selection.subnet_filters,
        subnet_group_name=selection.subnet_group_name,
        subnet_type=selection.subnet_type,
    )
    return chosen.subnet_ids, chosen.has_public


def _same(scope: Construct, one: s3.IBucket, other: s3.IBucket) -> bool:
    """Whether two constructs stand for one bucket, as far as the template knows."""
    names = [Stack.of(scope).resolve(bucket.bucket_name) for bucket in (one, other)]
    return bool(names[0] == names[1])
