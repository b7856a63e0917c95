"""What the Lambda and the Fargate task have in common: their configuration and what they may do to models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from .permissions import Place, accept_wildcards, allow
from .settings import BATCHES, KNOWN_SOURCES, Settings

SERVICE = "model-repacker"
"""Under which both count, in the namespace of the instance's name."""


@dataclass(frozen=True)
class Worker:
    """Something that carries repacks out."""

    settings: Settings
    input_bucket: s3.IBucket
    output_bucket: s3.IBucket
    reads: tuple[Place, ...]
    writes: tuple[Place, ...]
    key: Optional[kms.IKey]

    def environment(self) -> dict[str, str]:
        """What `lambda_fn` reads, under its names."""
        given = {
            "REPACK_INPUT_PREFIX": self.settings.input_prefix,
            "REPACK_OUTPUT_BUCKET": self.output_bucket.bucket_name,
            "REPACK_OUTPUT_PREFIX": self.settings.output_prefix,
            "REPACK_HYPERPARAMETERS_URI": self.settings.hyperparameters_uri,
            "REPACK_KNOWN_SOURCES": f"s3://{self.output_bucket.bucket_name}/{KNOWN_SOURCES}",
            "REPACK_LAMBDA_LIMIT_BYTES": str(self.settings.lambda_limit_gib << 30),
            "REPACK_RATIO_LIMIT": str(self.settings.ratio_limit),
            "REPACK_KMS_KEY_ID": self.key.key_arn if self.key else "",
            "REPACK_EXPECTED_BUCKET_OWNER": self.settings.bucket_owner or Aws.ACCOUNT_ID,
            "REPACK_REQUEST_PAYER": "true" if self.settings.request_payer else "",
            "REPACK_STORAGE_CLASS": self.settings.storage_class,
            "REPACK_ACL": self.settings.acl,
            "POWERTOOLS_SERVICE_NAME": SERVICE,
            "POWERTOOLS_METRICS_NAMESPACE": self.settings.name,
            "POWERTOOLS_LOG_LEVEL": "INFO",
        }
        return {name: value for name, value in given.items() if value}

    @property
    def put(self) -> list[str]:
        """The actions of writing an object as the settings want it."""
        return ["s3:PutObject", *(["s3:PutObjectAcl"] if self.settings.acl else [])]

    def policy(self) -> iam.PolicyDocument:
        """The statements that a repack needs."""
        sources = [place.objects for place in self.reads]
        targets = [place.objects for place in self.writes]
        buckets = sorted({place.bucket_arn for place in self.reads + self.writes})
        output_buckets = sorted({place.bucket_arn for place in self.writes})
        statements = [
            # Outputs too: their metadata says what they were made from, and they are models like others.
            allow(
                ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:GetObjectVersionTagging"],
                *sources,
                *(target for target in targets if target not in sources),
            ),
            # Without it S3 says "forbidden" of what does not exist: a missing model would look like a missing right.
            allow(["s3:ListBucket"], *buckets),
            # An output that its checksum disproves is deleted.
            allow(
                [
                    *self.put,
                    "s3:PutObjectTagging",
                    "s3:AbortMultipartUpload",
                    "s3:ListMultipartUploadParts",
                    "s3:DeleteObject",
                    "s3:DeleteObjectVersion",
                ],
                *targets,
            ),
            allow(["s3:GetObject", *self.put], self._known_sources.objects),
            # An upload whose beginning was answered by a broken connection is looked for, to be aborted.
            allow(["s3:ListBucketMultipartUploads"], *output_buckets),
        ]
        if self.key is not None:
            statements.append(allow(["kms:Decrypt", "kms:GenerateDataKey"], self.key.key_arn))
        return iam.PolicyDocument(statements=statements)

    def manifests(self) -> iam.PolicyDocument:
        """What checking a batch needs, which only the function does."""
        return iam.PolicyDocument(statements=[allow(["s3:GetObject"], self._manifests.objects)])

    def accept_manifests(self, role: iam.Role) -> None:
        """The wildcard at their end."""
        accept_wildcards(role, "All manifests; their names are the user's.", self._manifests.objects)

    def accept_prefixes(self, role: iam.Role) -> None:
        """The wildcards at the ends of our prefixes."""
        places = [place for place in self.reads + self.writes if not place.whole_key]
        accept_wildcards(
            role, "All models under these prefixes, and nothing beside them.", *{place.objects for place in places}
        )
        accept_wildcards(role, "All known sources; their names are digests.", self._known_sources.objects)

    @property
    def _manifests(self) -> Place:
        return Place(self.input_bucket.bucket_arn, BATCHES)

    @property
    def _known_sources(self) -> Place:
        return Place(self.output_bucket.bucket_arn, KNOWN_SOURCES)
