"""Where models come in and go out: two buckets, made here or given."""

from __future__ import annotations

from typing import Optional

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from .permissions import accept
from .settings import KNOWN_SOURCES

OLD_VERSIONS = Duration.days(30)
"""How long an overwritten or deleted model can be had back."""
REMEMBERED = Duration.days(365)
"""How long a known source is one. There is one more with every output; one that is gone costs a survey."""


class Buckets(Construct):
    """`input` and `output`; `logs` holds the access logs of those that are made here."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        input_bucket: Optional[s3.IBucket],
        output_bucket: Optional[s3.IBucket],
        key: Optional[kms.IKey],
        keep: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        # Access logs are let in by the bucket's policy: buckets without ACLs, as these are, take them in no other way.
        self.node.set_context("@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy", True)
        self._key = key
        self._end = RemovalPolicy.RETAIN if keep else RemovalPolicy.DESTROY
        self._logs: Optional[s3.Bucket] = None
        self.input = input_bucket or self._models("Input", events=True)
        self.output = output_bucket or self._models(
            "Output", s3.LifecycleRule(prefix=KNOWN_SOURCES, expiration=REMEMBERED), events=False
        )

    @property
    def logs(self) -> s3.Bucket:
        """Made when the first bucket needs it."""
        if self._logs is None:
            self._logs = self._bucket(
                "Logs",
                encryption=s3.BucketEncryption.S3_MANAGED,
                lifecycle_rules=[s3.LifecycleRule(expiration=Duration.days(90))],
            )
            accept(self._logs, "This bucket is where the access logs go; logging itself would never end.", "S1")
        return self._logs

    def _models(self, name: str, *rules: s3.LifecycleRule, events: bool) -> s3.Bucket:
        bucket = self._bucket(
            name,
            encryption=s3.BucketEncryption.KMS if self._key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=self._key,
            bucket_key_enabled=self._key is not None,
            versioned=True,
            server_access_logs_bucket=self.logs,
            server_access_logs_prefix=f"s3/{name.lower()}/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                    noncurrent_version_expiration=OLD_VERSIONS,
                ),
                *rules,
            ],
        )
        if events:
            # The L2's `event_bridge_enabled` would deploy a helper Lambda for this one property.
            resource = bucket.node.default_child
            assert isinstance(resource, s3.CfnBucket)
            resource.add_property_override(
                "NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True
            )
        return bucket

    def _bucket(self, name: str, **properties: object) -> s3.Bucket:
        return s3.Bucket(
            self,
            name,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=self._end,
            auto_delete_objects=self._end is RemovalPolicy.DESTROY,
            **properties,  # type: ignore[arg-type]
        )
