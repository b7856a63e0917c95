"""The Lambda that plans every repack and carries out those that fit its memory and time."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from .asset import build_asset
from .logs import log_group_of
from .permissions import accept, accept_wildcards, service, tracing, writing_logs
from .worker import Worker

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
            environment=worker.environment(),
            role=self.role.without_policy_updates(),
            log_group=self.log_group,
            tracing=lambda_.Tracing.ACTIVE,
        )
        worker.accept_prefixes(self.role)
        worker.accept_manifests(self.role)
        accept_wildcards(self.role, "X-Ray knows no resources.", "*")
        accept(self.function, "The asset ships byte code for 3.13, which Lambda supports until 2029.", "L1")
