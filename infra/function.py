"""The Lambda that plans every repack and carries out those that fit its memory and time."""

from __future__ import annotations

from aws_cdk import Aws, Duration, Fn
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from .asset import build_asset
from .logs import log_group_of
from .permissions import accept, accept_wildcards, allow, service, tracing, writing_logs
from .regions import where_functions_are_traced
from .worker import Worker

VCPU_MIB = 1769
"""MiB of memory that come with one vCPU; the system shows two where there is less than one."""
TIMEOUT = Duration.minutes(15)


class Function(Construct):
    """`function`, its `role` and its log group."""

    def __init__(self, scope: Construct, construct_id: str, worker: Worker) -> None:
        super().__init__(scope, construct_id)
        settings = worker.settings
        self.log_group = log_group_of(self, settings, worker.key)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=service("lambda.amazonaws.com"),
            inline_policies={
                "Repack": worker.policy(),
                "Batch": worker.manifests(),
                "Tell": iam.PolicyDocument(statements=[writing_logs(self.log_group.log_group_arn), tracing()]),
            },
        )
        arm = settings.architecture == "arm64"
        self.function = lambda_.Function(
            self,
            "Function",
            description="Puts hyperparameters.json into a packed model.tar.gz without unpacking it",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64 if arm else lambda_.Architecture.X86_64,
            handler="lambda_fn.handler.handler",
            code=lambda_.Code.from_asset(str(build_asset(settings.architecture))),
            memory_size=settings.lambda_memory_mib,
            timeout=TIMEOUT,
            reserved_concurrent_executions=settings.lambda_concurrency or None,
            environment={
                **worker.environment(),
                "REPACK_CORES": str(max(1, round(settings.lambda_memory_mib / VCPU_MIB))),
            },
            role=self.role.without_policy_updates(),
            log_group=self.log_group,
            tracing=lambda_.Tracing.ACTIVE,
        )
        traced = where_functions_are_traced(self)
        resource = self.function.node.default_child
        assert isinstance(resource, lambda_.CfnFunction)
        resource.add_property_override(
            "TracingConfig", Fn.condition_if(traced.logical_id, {"Mode": "Active"}, Aws.NO_VALUE)
        )
        worker.accept_prefixes(self.role)
        worker.accept_manifests(self.role)
        accept_wildcards(self.role, "X-Ray knows no resources.", "*")
        accept(self.function, "The asset ships byte code for 3.13, which Lambda supports until 2029.", "L1")

    def may_give_places(self, worker: Worker, semaphore_arn: str, executions: str) -> None:
        """What the semaphore of tasks needs; by itself, since the executions have a name only when the function has."""
        statements = [
            allow(["s3:GetObject", *worker.put], semaphore_arn),
            allow(["states:DescribeExecution"], executions),
        ]
        policy = iam.Policy(self, "Semaphore", roles=[self.role], statements=statements)
        accept_wildcards(policy, "Executions get their names when they start.", executions)
