"""How work comes in by itself: uploads through EventBridge, SageMaker's callback steps through a queue and a pipe.

What cannot be delivered to the state machine ends in a dead-letter queue of its door: what helps differs.
"""

from __future__ import annotations

from typing import Optional

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_pipes as pipes
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from .permissions import accept, allow, service
from .settings import Settings

MODELS = ("*.tar.gz", "*.tgz", "*.TAR.GZ", "*.TGZ")
WATCHED = (*MODELS, "*hyperparameters.json")
"""Either of the two may arrive last; the plan finds out whether the other is there."""


class Doors(Construct):
    """`rule`, `callbacks` (the queue for a callback step, if there is one), and for each its dead letters."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        input_bucket: s3.IBucket,
        machine: sfn.IStateMachine,
        key: Optional[kms.IKey],
    ) -> None:
        super().__init__(scope, construct_id)
        self._key = key
        self.upload_letters = self._queue("UploadLetters", Duration.days(14))
        accept(self.upload_letters, "It is the dead-letter queue of a rule, which the check does not look at.", "SQS3")
        self.rule = self._uploads(settings, input_bucket, machine)
        self.callbacks: Optional[sqs.Queue] = None
        self.callback_letters: Optional[sqs.Queue] = None
        if settings.callback_steps:
            self.callback_letters = self._queue("CallbackLetters", Duration.days(14))
            letters = sqs.DeadLetterQueue(queue=self.callback_letters, max_receive_count=5)
            self.callbacks = self._queue("Callbacks", Duration.days(4), letters)
            self._pipe(self.callbacks, machine)

    def _queue(self, name: str, keeps: Duration, letters: Optional[sqs.DeadLetterQueue] = None) -> sqs.Queue:
        queue = sqs.Queue(self, name, enforce_ssl=True, retention_period=keeps, dead_letter_queue=letters)
        if self._key is not None:
            # The L2's `encryption_master_key` would write into the policy of a key that is somebody else's.
            resource = queue.node.default_child
            assert isinstance(resource, sqs.CfnQueue)
            resource.kms_master_key_id = self._key.key_arn
            resource.sqs_managed_sse_enabled = None
        return queue

    def _uploads(self, settings: Settings, input_bucket: s3.IBucket, machine: sfn.IStateMachine) -> events.Rule:
        keys = [{"wildcard": settings.input_prefix + name} for name in WATCHED]
        role = self._starter("events.amazonaws.com", machine)
        return events.Rule(
            self,
            "Uploads",
            description="A model or its hyperparameters were uploaded",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={"bucket": {"name": [input_bucket.bucket_name]}, "object": {"key": keys}},
            ),
            targets=[
                targets.SfnStateMachine(
                    machine,
                    role=role.without_policy_updates(),
                    dead_letter_queue=self.upload_letters,
                    retry_attempts=185,
                    max_event_age=Duration.hours(24),
                )
            ],
        )

    def _pipe(self, callbacks: sqs.IQueue, machine: sfn.IStateMachine) -> None:
        receive = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
        needs = [allow(receive, callbacks.queue_arn)]
        if self._key is not None:
            needs.append(allow(["kms:Decrypt"], self._key.key_arn))
        role = self._starter("pipes.amazonaws.com", machine, *needs)
        pipes.CfnPipe(
            self,
            "Pipe",
            description="A callback step waits for a repack",
            role_arn=role.role_arn,
            source=callbacks.queue_arn,
            source_parameters=pipes.CfnPipe.PipeSourceParametersProperty(
                sqs_queue_parameters=pipes.CfnPipe.PipeSourceSqsQueueParametersProperty(batch_size=1)
            ),
            target=machine.state_machine_arn,
            target_parameters=pipes.CfnPipe.PipeTargetParametersProperty(
                step_function_state_machine_parameters=pipes.CfnPipe.PipeTargetStateMachineParametersProperty(
                    invocation_type="FIRE_AND_FORGET"
                )
            ),
        )

    def _starter(self, principal: str, machine: sfn.IStateMachine, *more: iam.PolicyStatement) -> iam.Role:
        start = allow(["states:StartExecution"], machine.state_machine_arn)
        return iam.Role(
            self,
            f"{principal.split('.')[0].title()}Role",
            assumed_by=service(principal),
            inline_policies={"Start": iam.PolicyDocument(statements=[start, *more])},
        )
