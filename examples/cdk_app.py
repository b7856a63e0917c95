"""A CDK app of your own with the repacker in it: after `pip install '.[cdk]'` it writes cdk.out.

One bucket of yours holds what is trained and what is released; tasks run in the private subnets of your network.
"""

from __future__ import annotations

from aws_cdk import App, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_s3 as s3
from constructs import Construct
from model_repacker_cdk import ModelRepacker, Settings


class Models(Stack):
    """Yours."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        models = s3.Bucket(self, "Models", versioned=True, event_bridge_enabled=True)
        vpc = ec2.Vpc(self, "Vpc", max_azs=2, nat_gateways=1)
        self.repacker = ModelRepacker(
            self,
            "Repacker",
            settings=Settings(name="churn-repacker", input_prefix="trained/", output_prefix="released/"),
            input_bucket=models,
            output_bucket=models,
            vpc=vpc,  # its private subnets, and no public addresses, unless `subnets` says otherwise
        )


if __name__ == "__main__":
    app = App()
    Models(app, "Models")
    app.synth()
