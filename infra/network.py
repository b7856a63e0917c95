"""Where the Fargate task runs unless a network is given: one that costs nothing while idle.

Public subnets instead of a NAT gateway: a task has an address while it runs, takes no connection from anywhere, and
reaches ECR, CloudWatch Logs and Step Functions over TLS; the models go through S3's gateway endpoint, which is free.
"""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_s3 as s3
from constructs import Construct


class Network(Construct):
    """`vpc` with two public subnets, an S3 gateway endpoint and a flow log."""

    def __init__(self, scope: Construct, construct_id: str, *, flow_logs: s3.IBucket) -> None:
        super().__init__(scope, construct_id)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr("10.0.0.0/22"),
            max_azs=2,
            nat_gateways=0,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="Tasks", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24, map_public_ip_on_launch=False
                )
            ],
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
            },
            flow_logs={
                "FlowLog": ec2.FlowLogOptions(destination=ec2.FlowLogDestination.to_s3(flow_logs, "vpc/")),
            },
        )
