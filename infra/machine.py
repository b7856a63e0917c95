"""The state machine around one repack: plan it, run it where it fits, tell everyone how it ended.

Its input is a Request, an S3 event from EventBridge, or the messages of a SageMaker callback step from a pipe;
its output is the Result. An upload of hyperparameters beside several models starts the machine again for each of them.
Every name in `PASSING` and `TOO_BIG` is the class name of an error of the contract. The request lies in the state once:
Step Functions ends an execution whose state outgrows 256 KiB, and lets nothing catch that.
"""

from __future__ import annotations

from typing import Any, Optional

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from .logs import MACHINE_LOGS, log_group_of_machine, log_options, machine_logs
from .permissions import accept_wildcards, allow, service, tracing_machine
from .settings import Settings
from .task import CONTAINER, Task

REPACKED = "Model Repacked"
FAILED = "Model Repack Failed"
SERVICE_FAILED = "ServiceFailed"
UNANSWERED = "PipelineUnanswered"

PASSING = ["SourceChanged", "OutputChanged", "OutputNotProved", "StoreUnavailable"]
TOO_BIG = ["OutOfTime"]
LAMBDA_PASSING = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
]
LAMBDA_BUSY = ["Lambda.TooManyRequestsException"]
LAMBDA_DIED = [
    "Sandbox.Timedout",
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "Lambda.Unknown",
    "States.Timeout",
]
"""How Step Functions names a function that ran out of time or memory without saying so itself."""
FARGATE_FULL = [
    "AmazonECS.Unknown",
    "ECS.AmazonECSException",
    "ECS.LimitExceededException",
    "ECS.ServerException",
    "ECS.ThrottlingException",
]
"""How Step Functions names a task that ECS did not start: no capacity, the account's vCPUs in use, too many at once."""
FARGATE_REFUSED = ["ECS.InvalidParameterException"]
"""ECS says so where it was throttled itself while it looked at the network, and where a parameter is wrong for good."""
FARGATE_LOST = ["States.HeartbeatTimeout"]
NO_PLACE = ["NoPlace"]
"""What the function raises where as many executions as may be have a task."""

BUSY = ["StepFunctions.ExecutionLimitExceeded", "StepFunctions.ThrottlingException"]

LAMBDA_SECONDS = 16 * 60
"""A minute more than the function's own end, so that this one only counts when the function's answer is lost."""
A_DAY = 600
"""Tries that, five minutes apart at the longest and half of that on average, go on for more than a day."""
HEARTBEAT_SECONDS = 10 * 60
"""A task that cannot start or died is noticed after this long; starting takes about one minute."""
FARGATE_SECONDS = 12 * 60 * 60

State = dict[str, Any]

A_PLACE = "A place for a task"


def retry(errors: list[str], *, attempts: int = 5, longest: int = 60) -> State:
    """Back off exponentially up to `longest` seconds, with full jitter."""
    return {
        "ErrorEquals": errors,
        "IntervalSeconds": 2,
        "BackoffRate": 2,
        "MaxAttempts": attempts,
        "MaxDelaySeconds": longest,
        "JitterStrategy": "FULL",
    }


def catch(errors: list[str], then: str, path: str = "$.error") -> State:
    """Go on with the error's {Error, Cause} at `path`."""
    return {"ErrorEquals": errors, "ResultPath": path, "Next": then}


# A burst of uploads waits for the function's reserved concurrency, for a day if need be.
INVOKE_RETRIES = [retry(PASSING + LAMBDA_PASSING), retry(LAMBDA_BUSY, attempts=A_DAY, longest=300)]
# Each retrier counts its own tries: waiting for room takes none from a task that runs. A task that was told to stop
# says OutOfTime. The service calls a lost heartbeat by either name; the general one also means that a task has worked
# for twelve hours, which is tried only once more.
FARGATE_RETRIES = [
    retry(FARGATE_FULL, attempts=A_DAY, longest=300),
    retry(FARGATE_REFUSED, attempts=10, longest=300),
    retry(PASSING + TOO_BIG + FARGATE_LOST, attempts=4, longest=300),
    retry(["States.Timeout"], attempts=1),
]


def invoke(function_arn: str, payload: str) -> State:
    """The part of a state that calls the function with what lies at `payload`."""
    return {
        "Type": "Task",
        "Resource": f"arn:{Aws.PARTITION}:states:::lambda:invoke",
        "Parameters": {"FunctionName": function_arn, "Payload.$": payload},
        "TimeoutSeconds": LAMBDA_SECONDS,
        "Retry": INVOKE_RETRIES,
    }


def as_child(item: str | State) -> State:
    """A Map's items so that what they start is linked to this execution in the console: AWS's name for the parent."""
    parent = {"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$": "$$.Execution.Id"}
    return {"input.$" if isinstance(item, str) else "input": item, "parent": parent}


LINKED = "States.JsonMerge($.input, $.parent, false)"
"""The input of what such an item starts."""


def start_again() -> State:
    """The state that starts this same machine with a request, and does not wait: how that ends is told by itself."""
    return {
        "Type": "Task",
        "Resource": f"arn:{Aws.PARTITION}:states:::states:startExecution",
        "Parameters": {"StateMachineArn.$": "$$.StateMachine.Id", "Name.$": "States.UUID()", "Input.$": LINKED},
        "Retry": [retry(BUSY, longest=300)],
        "ResultSelector": {"execution.$": "$.ExecutionArn"},
        "End": True,
    }


def tell(source: str, detail_type: str, detail: State, then: str, untold: str) -> State:
    """A state that puts one event on the account's default bus; if it cannot, `untold` says why, and it goes on."""
    entry = {"Source": source, "DetailType": detail_type, "EventBusName": "default", **detail}
    return {
        "Type": "Task",
        "Resource": f"arn:{Aws.PARTITION}:states:::events:putEvents",
        "Parameters": {"Entries": [entry]},
        "Retry": [retry(["States.TaskFailed"])],
        "ResultPath": "$.told",
        "Catch": [catch(["States.ALL"], then, untold)],
        "Next": then,
    }


def answer_pipeline(action: str, parameters: State, then: str, refused: str, path: str = "$.unanswered") -> State:
    """A state that ends the waiting of a SageMaker callback step; `refused` comes next if SageMaker takes no answer."""
    return {
        "Type": "Task",
        "Resource": f"arn:{Aws.PARTITION}:states:::aws-sdk:sagemaker:{action}",
        "Parameters": {"CallbackToken.$": "$.callback.token", **parameters},
        "Retry": [retry(["States.TaskFailed"])],
        "ResultPath": "$.answered",
        "Catch": [catch(["States.ALL"], refused, path)],
        "Next": then,
    }


NO_ANSWER = "$.done.result.unanswered"
"""Where it stands why SageMaker took no answer: a message that came twice, a pipeline that was stopped, or no right."""


def does_it_wait(otherwise: str) -> State:
    """A choice: without the right to answer, a pipeline waits on; else SageMaker does not wait for this answer."""
    no_right = {"Variable": f"{NO_ANSWER}.Cause", "StringMatches": "*not authorized*", "Next": "Unanswered"}
    return {"Type": "Choice", "Choices": [no_right], "Default": otherwise}


def entrance(function_arn: str) -> dict[str, State]:
    """The three kinds of input become one shape.

    {"ask": what the plan action takes, "callback": {"token"} if a pipeline waits, "explicit" if somebody asked}
    """
    return {
        "What came in?": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$[0].body", "IsPresent": True, "Next": "A pipeline's callback"},
                {"Variable": "$['detail-type']", "IsPresent": True, "Next": "An S3 event"},
            ],
            "Default": "A request",
        },
        "A pipeline's callback": {
            "Type": "Pass",
            "InputPath": "$[0]",
            "Parameters": {"ask": {"action": "callback", "body.$": "$.body"}},
            "Next": "Its request",
        },
        "Its request": {
            **invoke(function_arn, "$.ask"),
            "OutputPath": "$.Payload",
            "Catch": [catch(["States.ALL"], "Failed where?")],
            "Next": "Is the pipeline stopping?",
        },
        "Is the pipeline stopping?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.stopping", "IsPresent": True, "Next": "Let the pipeline stop"}],
            "Default": "Plan",
        },
        # SageMaker asks by a second message, and waits for this answer.
        "Let the pipeline stop": answer_pipeline(
            "sendPipelineExecutionStepFailure",
            {"FailureReason": "the pipeline was stopped"},
            "Stopped",
            "Does it wait to stop?",
            NO_ANSWER,
        ),
        "Does it wait to stop?": does_it_wait("Stopped"),
        "Stopped": {"Type": "Succeed"},
        "An S3 event": {
            "Type": "Pass",
            "Parameters": {"ask": {"action": "plan", "event.$": "$"}},
            "Next": "Plan",
        },
        "A request": {
            "Type": "Pass",
            "Parameters": {"ask": {"action": "plan", "request.$": "$"}, "explicit": True},
            "Next": "Plan",
        },
    }


PLANNED = ("where", "why", "request", "requests")
"""What the machine keeps of a plan, in place of what was asked."""


def a_place(function_arn: str, most: int, semaphore: str) -> dict[str, State]:
    """The state that waits until fewer than so many executions have a task; none if there may be any number."""
    if not most:
        return {}
    asked = {"action": "place", "execution.$": "$$.Execution.Id", "of": most, "semaphore": semaphore}
    return {
        A_PLACE: {
            **invoke(function_arn, "$"),
            "Parameters": {"FunctionName": function_arn, "Payload": asked},
            "Retry": [*INVOKE_RETRIES, retry(NO_PLACE, attempts=A_DAY, longest=300)],
            "ResultSelector": {"status.$": "$.StatusCode"},
            "ResultPath": "$.place",
            "Catch": [catch(["States.ALL"], "Failed where?")],
            "Next": "Repack on Fargate",
        }
    }


def work(function_arn: str, run_task: State, place: dict[str, State]) -> dict[str, State]:
    """Plan, then repack where the plan says; whoever asked explicitly gets a Result even if all was done before."""
    failed = catch(["States.ALL"], "Failed where?")
    fargate = next(iter(place), "Repack on Fargate")
    return {
        **place,
        "Plan": {
            **invoke(function_arn, "$.ask"),
            "ResultSelector": {f"{name}.$": f"$.Payload['{name}']" for name in PLANNED},
            "ResultPath": "$.ask",
            "Catch": [failed],
            "Next": "Where?",
        },
        "Where?": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.ask['where']", "StringEquals": "fargate", "Next": fargate},
                {"Variable": "$.ask['where']", "StringEquals": "lambda", "Next": "Repack in Lambda"},
                {"Variable": "$.ask['where']", "StringEquals": "each", "Next": "Each model"},
                {"Variable": "$.ask['where']", "StringEquals": "refused", "Next": "Refused"},
                {"Variable": "$.explicit", "IsPresent": True, "Next": "Repack in Lambda"},
            ],
            "Default": "Nothing to do",
        },
        "Nothing to do": {"Type": "Succeed", "OutputPath": "$.ask"},
        "Refused": {
            "Type": "Pass",
            "Parameters": {"Error": "InvalidRequest", "Cause.$": "$.ask.why"},
            "ResultPath": "$.error",
            "Next": "Tell: failed",
        },
        "Each model": {
            "Type": "Map",
            "ItemsPath": "$.ask.requests",
            "ItemSelector": as_child("$$.Map.Item.Value"),
            "ItemProcessor": {"StartAt": "Start its repack", "States": {"Start its repack": start_again()}},
            "Catch": [failed],
            "End": True,
        },
        "Repack in Lambda": {
            **invoke(function_arn, "$.ask.request"),
            "ResultSelector": {"result.$": "$.Payload"},
            "ResultPath": "$.done",
            "Catch": [catch(TOO_BIG + LAMBDA_DIED, fargate, "$.handover"), failed],
            "Next": "Tell: repacked",
        },
        "Repack on Fargate": {
            "Type": "Task",
            "Resource": f"arn:{Aws.PARTITION}:states:::ecs:runTask.waitForTaskToken",
            "Parameters": run_task,
            "HeartbeatSeconds": HEARTBEAT_SECONDS,
            "TimeoutSeconds": FARGATE_SECONDS,
            "ResultSelector": {"result.$": "$"},
            "ResultPath": "$.done",
            "Retry": FARGATE_RETRIES,
            "Catch": [failed],
            "Next": "Tell: repacked",
        },
    }


def success(source: str) -> dict[str, State]:
    """The event, the pipeline's answer if one waits, the Result.

    The repack has succeeded: what cannot be told or answered any more is said in the Result and fails nothing, but for
    a right that is missing, which lets a pipeline wait.
    """
    outputs = [{"Name": name, "Value.$": f"$.done.result.{name}"} for name in ("output_uri", "method")]
    return {
        "Tell: repacked": tell(
            source, REPACKED, {"Detail.$": "$.done.result"}, "Does a pipeline wait?", "$.done.result.untold"
        ),
        "Does a pipeline wait?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.callback.token", "IsPresent": True, "Next": "Answer the pipeline"}],
            "Default": "Repacked",
        },
        "Answer the pipeline": answer_pipeline(
            "sendPipelineExecutionStepSuccess",
            {"OutputParameters": outputs},
            "Repacked",
            "Does it still wait?",
            NO_ANSWER,
        ),
        "Does it still wait?": does_it_wait("Repacked"),
        "Unanswered": {"Type": "Fail", "Error": UNANSWERED, "CausePath": f"{NO_ANSWER}.Cause"},
        "Repacked": {"Type": "Succeed", "OutputPath": "$.done.result"},
    }


def failure(source: str) -> dict[str, State]:
    """The error's name and sentence, in the event, in the pipeline's failure reason and as the execution's end."""
    reason = "States.Format('{}: {}', $.error.Error, $.error.Cause)"
    # SageMaker takes 256 characters; a sentence with two long keys in it has more.
    brief = "States.Format('{}: see execution {}', $.error.Error, $$.Execution.Name)"
    detail = {
        "error.$": "$.error.Error",
        "cause.$": "$.error.Cause",
        "asked.$": "$.ask",
        "execution.$": "$$.Execution.Id",
    }
    fail_step = "sendPipelineExecutionStepFailure"
    return {
        "Failed where?": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.error.Cause", "StringMatches": '{"errorMessage"*', "Next": "Read the function's error"},
                {"Variable": "$.error.Error", "StringMatches": "States.*", "Next": "Name the service's error"},
            ],
            "Default": "Tell: failed",
        },
        "Read the function's error": {
            "Type": "Pass",
            "Parameters": {"Error.$": "$.error.Error", "Cause.$": "States.StringToJson($.error.Cause)"},
            "ResultPath": "$.error",
            "Next": "Take its sentence",
        },
        "Take its sentence": {
            "Type": "Pass",
            "InputPath": "$.error.Cause.errorMessage",
            "ResultPath": "$.error.Cause",
            "Next": "Tell: failed",
        },
        # No execution may end with an error that begins with "States.": those names are the service's own.
        "Name the service's error": {
            "Type": "Pass",
            "Parameters": {"Error": SERVICE_FAILED, "Cause.$": "States.Format('{}: {}', $.error.Error, $.error.Cause)"},
            "ResultPath": "$.error",
            "Next": "Tell: failed",
        },
        "Tell: failed": tell(source, FAILED, {"Detail": detail}, "Does a pipeline wait for it?", "$.untold"),
        "Does a pipeline wait for it?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.callback.token", "IsPresent": True, "Next": "Fail the pipeline's step"}],
            "Default": "Failed",
        },
        "Fail the pipeline's step": answer_pipeline(
            fail_step, {"FailureReason.$": reason}, "Failed", "Fail it in brief"
        ),
        "Fail it in brief": answer_pipeline(fail_step, {"FailureReason.$": brief}, "Failed", "Failed"),
        "Failed": {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
    }


def states(source: str, function_arn: str, run_task: State, place: dict[str, State]) -> dict[str, State]:
    """All states of the machine, which tells of itself as `source`."""
    return {**entrance(function_arn), **work(function_arn, run_task, place), **success(source), **failure(source)}


def run_task(task: Task) -> State:
    """The parameters that start the task with the Request and the token in its environment."""
    return {
        "LaunchType": "FARGATE",
        "Cluster": task.cluster.cluster_arn,
        "TaskDefinition": task.definition.task_definition_arn,
        "NetworkConfiguration": {
            "AwsvpcConfiguration": {
                "Subnets": task.subnet_ids,
                "SecurityGroups": [task.security_group.security_group_id],
                "AssignPublicIp": "ENABLED" if task.assign_public_ip else "DISABLED",
            }
        },
        "Overrides": {
            "ContainerOverrides": [
                {
                    "Name": CONTAINER,
                    "Environment": [
                        {"Name": "REPACK_REQUEST", "Value.$": "States.JsonToString($.ask.request)"},
                        {"Name": "TASK_TOKEN", "Value.$": "$$.Task.Token"},
                    ],
                }
            ]
        },
    }


def executions(machine: sfn.StateMachine, which: str) -> str:
    """The ARN of a machine's executions whose names match."""
    of = f"arn:{Aws.PARTITION}:states:{Aws.REGION}:{Aws.ACCOUNT_ID}:execution"
    return f"{of}:{machine.state_machine_name}{which}"


class Machine(Construct):
    """`machine`: the Standard state machine of one repack."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        function: lambda_.IFunction,
        task: Task,
        semaphore: str,
        key: Optional[kms.IKey],
    ) -> None:
        super().__init__(scope, construct_id)
        place = a_place(function.function_arn, settings.task_concurrency, semaphore)
        definition = {
            "Comment": "One repack: plan, repack in Lambda or on Fargate, tell",
            "StartAt": "What came in?",
            "States": states(settings.name, function.function_arn, run_task(task), place),
        }
        self.role = self._role(settings, function, task)
        self.log_group = log_group_of_machine(self, settings, key)
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            state_machine_type=sfn.StateMachineType.STANDARD,
            definition_body=sfn.DefinitionBody.from_string(Stack.of(self).to_json_string(definition)),
            role=self.role.without_policy_updates(),
            logs=log_options(self.log_group, settings),
            tracing_enabled=True,
        )
        # Its own name exists only now.
        again = allow(["states:StartExecution"], self.machine.state_machine_arn)
        iam.Policy(self, "StartAgain", roles=[self.role], statements=[again])

    def _role(self, settings: Settings, function: lambda_.IFunction, task: Task) -> iam.Role:
        stack = Stack.of(self)
        executions = stack.format_arn(service="sagemaker", resource="pipeline", resource_name="*/execution/*")
        bus = stack.format_arn(service="events", resource="event-bus", resource_name="default")
        statements = [
            allow(["lambda:InvokeFunction"], function.function_arn),
            allow(
                ["ecs:RunTask"],
                task.definition.task_definition_arn,
                ArnEquals={"ecs:cluster": task.cluster.cluster_arn},
            ),
            allow(
                ["iam:PassRole"],
                task.role.role_arn,
                task.execution_role.role_arn,
                StringEquals={"iam:PassedToService": "ecs-tasks.amazonaws.com"},
            ),
            allow(["events:PutEvents"], bus, StringEquals={"events:source": settings.name}),
            allow(
                ["sagemaker:SendPipelineExecutionStepSuccess", "sagemaker:SendPipelineExecutionStepFailure"], executions
            ),
        ]
        role = iam.Role(
            self,
            "Role",
            assumed_by=service("states.amazonaws.com"),
            inline_policies={
                "Run": iam.PolicyDocument(statements=statements),
                "Tell": iam.PolicyDocument(statements=[*machine_logs(), tracing_machine()]),
            },
        )
        accept_wildcards(role, MACHINE_LOGS, "*")
        accept_wildcards(role, "Any pipeline may wait for a repack; its secret token is the permission.", executions)
        return role
