"""The Fargate task that carries out what is too big for the Lambda: the same code, without its clock.

Nothing touches a disk, so the root file system is read-only and the storage stays at Fargate's free minimum.
"""

from __future__ import annotations

from typing import Sequence

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from .asset import PACKAGE
from .logs import log_group_of
from .permissions import accept, accept_wildcards, allow, service, writing_logs
from .settings import Settings
from .worker import Worker

CONTAINER = "repack"


class Task(Construct):
    """`definition`, to be run in `cluster` on `subnet_ids` with `security_group`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        worker: Worker,
        *,
        vpc: ec2.IVpc,
        subnet_ids: Sequence[str],
        assign_public_ip: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        settings = worker.settings
        self.subnet_ids = list(subnet_ids)
        self.assign_public_ip = assign_public_ip
        self.cluster = ecs.Cluster(self, "Cluster", vpc=vpc, container_insights_v2=ecs.ContainerInsights.ENABLED)
        self.security_group = ec2.SecurityGroup(
            self, "OnlyOut", vpc=vpc, description="Nothing comes in, TLS goes out", allow_all_outbound=False
        )
        self.security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS APIs")

        arm = settings.architecture == "arm64"
        image = ecr_assets.DockerImageAsset(
            self,
            "Image",
            directory=str(PACKAGE),
            exclude=["**/__pycache__"],
            platform=ecr_assets.Platform.LINUX_ARM64 if arm else ecr_assets.Platform.LINUX_AMD64,
        )
        self.log_group = log_group_of(self, settings, worker.key)
        self.role = self._task_role(worker)
        self.execution_role = self._execution_role(image, self.log_group.log_group_arn)
        self.definition = ecs.FargateTaskDefinition(
            self,
            "Definition",
            cpu=settings.task_cpu,
            memory_limit_mib=settings.task_memory_mib,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64 if arm else ecs.CpuArchitecture.X86_64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
            task_role=self.role.without_policy_updates(),
            execution_role=self.execution_role.without_policy_updates(),
        )
        self.definition.add_container(
            CONTAINER,
            cpu=settings.task_cpu,
            memory_limit_mib=settings.task_memory_mib,
            image=ecs.ContainerImage.from_docker_image_asset(image),
            environment={
                **worker.environment(),
                **_endpoint(settings),
                "REPACK_CORES": str(max(1, settings.task_cpu // 1024)),
            },
            readonly_root_filesystem=True,
            logging=ecs.LogDrivers.aws_logs(stream_prefix="task", log_group=self.log_group),
        )
        accept(self.definition, "The environment holds names of buckets and prefixes, and no secret.", "ECS2")

    def _task_role(self, worker: Worker) -> iam.Role:
        answer = allow(["states:SendTaskSuccess", "states:SendTaskFailure", "states:SendTaskHeartbeat"], "*")
        role = iam.Role(
            self,
            "Role",
            assumed_by=service("ecs-tasks.amazonaws.com"),
            inline_policies={"Repack": worker.policy(), "Answer": iam.PolicyDocument(statements=[answer])},
        )
        worker.accept_prefixes(role)
        accept_wildcards(role, "states:SendTask* know no resources: the task's token is the permission.", "*")
        return role

    def _execution_role(self, image: ecr_assets.DockerImageAsset, log_group_arn: str) -> iam.Role:
        pull = allow(
            ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
            image.repository.repository_arn,
        )
        sign_in = allow(["ecr:GetAuthorizationToken"], "*")
        role = iam.Role(
            self,
            "ExecutionRole",
            assumed_by=service("ecs-tasks.amazonaws.com"),
            inline_policies={
                "Start": iam.PolicyDocument(statements=[pull, sign_in, writing_logs(log_group_arn)]),
            },
        )
        accept_wildcards(role, "ecr:GetAuthorizationToken knows no resources.", "*")
        return role


def _endpoint(settings: Settings) -> dict[str, str]:
    """What the SDK reads of itself."""
    return {"AWS_ENDPOINT_URL_S3": settings.task_s3_endpoint_url} if settings.task_s3_endpoint_url else {}
