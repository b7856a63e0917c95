"""The state machine around one repack: plan it, run it where it fits, tell everyone how it ended.

Its input is a Request, an S3 event from EventBridge, or the messages of a SageMaker callback step from a pipe;
its output is the Result. An upload of hyperparameters beside several models starts the machine again for each of them.
Every name in `PASSING` and `TOO_BIG` is the class name of an error of the contract.
"""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from .logs import MACHINE_LOGS, log_group_of, machine_logs
from .permissions import accept_wildcards, allow, tracing
from .settings import Settings
from .task import CONTAINER, Task

SOURCE = "model-repacker"
REPACKED = "Model Repacked"
FAILED = "Model Repack Failed"
SERVICE_FAILED = "ServiceFailed"

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
FARGATE_PASSING = [
    "States.HeartbeatTimeout",
    "ECS.AmazonECSException",
    "ECS.ServerException",
    "ECS.ThrottlingException",
]

BUSY = ["StepFunctions.ExecutionLimitExceeded", "StepFunctions.ThrottlingException"]

LAMBDA_SECONDS = 16 * 60
"""A minute more than the function's own end, so that this one only counts when the function's answer is lost."""
HEARTBEAT_SECONDS = 10 * 60
"""A task that cannot start or died is noticed after this long; starting takes about one minute."""
FARGATE_SECONDS = 12 * 60 * 60

State = dict[str, Any]


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


# A burst of uploads waits for the function's reserved concurrency, for hours if need be.
INVOKE_RETRIES = [retry(PASSING + LAMBDA_PASSING), retry(LAMBDA_BUSY, attempts=60, longest=300)]
# A task that was told to stop says OutOfTime. The service calls a lost heartbeat by either name; the general one also
# means that a task has worked for twelve hours, which is tried only once more.
FARGATE_RETRIES = [
    retry(PASSING + TOO_BIG + FARGATE_PASSING, attempts=4, longest=300),
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


def start_again() -> State:
    """The state that starts this same machine with a request, and does not wait: how that ends is told by itself."""
    return {
        "Type": "Task",
        "Resource": f"arn:{Aws.PARTITION}:states:::states:startExecution",
        "Parameters": {"StateMachineArn.$": "$$.StateMachine.Id", "Name.$": "States.UUID()", "Input.$": "$"},
        "Retry": [retry(BUSY, longest=300)],
        "ResultSelector": {"execution.$": "$.ExecutionArn"},
        "End": True,
    }


def tell(detail_type: str, detail: State, then: str) -> State:
    """A state that puts one event on the account's default bus."""
    entry = {"Source": SOURCE, "DetailType": detail_type, "EventBusName": "default", **detail}
    return {
        "Type": "Task",
        "Resource": f"arn:{Aws.PARTITION}:states:::events:putEvents",
        "Parameters": {"Entries": [entry]},
        "Retry": [retry(["States.TaskFailed"])],
        "ResultPath": "$.told",
        "Next": then,
    }


def answer_pipeline(action: str, parameters: State, then: str) -> State:
    """A state that ends the waiting of a SageMaker callback step."""
    return {
        "Type": "Task",
        "Resource": f"arn:{Aws.PARTITION}:states:::aws-sdk:sagemaker:{action}",
        "Parameters": {"CallbackToken.$": "$.callback.token", **parameters},
        "Retry": [retry(["SageMaker.SdkClientException", "SageMaker.ThrottlingException"])],
        "ResultPath": "$.answered",
        "Next": then,
    }


def entrance() -> dict[str, State]:
    """The three kinds of input become one shape: {"ask": what the plan action takes, "callback": {"token"} if any}."""
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
            "Parameters": {"callback.$": "States.StringToJson($.body)"},
            "Next": "Its request",
        },
        "Its request": {
            "Type": "Pass",
            "Parameters": {"action": "plan", "request.$": "$.callback.arguments"},
            "ResultPath": "$.ask",
            "Next": "Plan",
        },
        "An S3 event": {
            "Type": "Pass",
            "Parameters": {"ask": {"action": "plan", "event.$": "$"}},
            "Next": "Plan",
        },
        "A request": {
            "Type": "Pass",
            "Parameters": {"ask": {"action": "plan", "request.$": "$"}},
            "Next": "Plan",
        },
    }


def work(function_arn: str, run_task: State) -> dict[str, State]:
    """Plan, then repack where the plan says; whoever asked explicitly gets a Result even if all was done before."""
    failed = catch(["States.ALL"], "Failed where?")
    return {
        "Plan": {
            **invoke(function_arn, "$.ask"),
            "ResultSelector": {"plan.$": "$.Payload"},
            "ResultPath": "$.planned",
            "Catch": [failed],
            "Next": "Where?",
        },
        "Where?": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.planned.plan['where']", "StringEquals": "fargate", "Next": "Repack on Fargate"},
                {"Variable": "$.planned.plan['where']", "StringEquals": "lambda", "Next": "Repack in Lambda"},
                {"Variable": "$.planned.plan['where']", "StringEquals": "each", "Next": "Each model"},
                {"Variable": "$.ask.request", "IsPresent": True, "Next": "Repack in Lambda"},
            ],
            "Default": "Nothing to do",
        },
        "Nothing to do": {"Type": "Succeed", "OutputPath": "$.planned.plan"},
        "Each model": {
            "Type": "Map",
            "ItemsPath": "$.planned.plan.requests",
            "ItemProcessor": {"StartAt": "Start its repack", "States": {"Start its repack": start_again()}},
            "Catch": [failed],
            "End": True,
        },
        "Repack in Lambda": {
            **invoke(function_arn, "$.planned.plan.request"),
            "ResultSelector": {"result.$": "$.Payload"},
            "ResultPath": "$.done",
            "Catch": [catch(TOO_BIG + LAMBDA_DIED, "Repack on Fargate", "$.handover"), failed],
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


def success() -> dict[str, State]:
    """The event, the pipeline's answer if one waits, the Result."""
    outputs = [{"Name": name, "Value.$": f"$.done.result.{name}"} for name in ("output_uri", "method")]
    return {
        "Tell: repacked": tell(REPACKED, {"Detail.$": "$.done.result"}, "Does a pipeline wait?"),
        "Does a pipeline wait?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.callback.token", "IsPresent": True, "Next": "Answer the pipeline"}],
            "Default": "Repacked",
        },
        "Answer the pipeline": answer_pipeline(
            "sendPipelineExecutionStepSuccess", {"OutputParameters": outputs}, "Repacked"
        ),
        "Repacked": {"Type": "Succeed", "OutputPath": "$.done.result"},
    }


def failure() -> dict[str, State]:
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
        "Tell: failed": tell(FAILED, {"Detail": detail}, "Does a pipeline wait for it?"),
        "Does a pipeline wait for it?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.callback.token", "IsPresent": True, "Next": "Fail the pipeline's step"}],
            "Default": "Failed",
        },
        "Fail the pipeline's step": {
            **answer_pipeline("sendPipelineExecutionStepFailure", {"FailureReason.$": reason}, "Failed"),
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.unanswered", "Next": "Fail it in brief"}],
        },
        "Fail it in brief": answer_pipeline("sendPipelineExecutionStepFailure", {"FailureReason.$": brief}, "Failed"),
        "Failed": {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
    }


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
                        {"Name": "REPACK_REQUEST", "Value.$": "States.JsonToString($.planned.plan.request)"},
                        {"Name": "TASK_TOKEN", "Value.$": "$$.Task.Token"},
                    ],
                }
            ]
        },
    }


class Machine(Construct):
    """`machine`: the Standard state machine of one repack."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: Settings, function: lambda_.IFunction, task: Task
    ) -> None:
        super().__init__(scope, construct_id)
        definition = {
            "Comment": "One repack: plan, repack in Lambda or on Fargate, tell",
            "StartAt": "What came in?",
            "States": {**entrance(), **work(function.function_arn, run_task(task)), **success(), **failure()},
        }
        self.role = self._role(function, task)
        log_group = log_group_of(self, settings)
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            state_machine_type=sfn.StateMachineType.STANDARD,
            definition_body=sfn.DefinitionBody.from_string(Stack.of(self).to_json_string(definition)),
            role=self.role.without_policy_updates(),
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=True),
            tracing_enabled=True,
        )
        # Its own name exists only now.
        again = allow(["states:StartExecution"], self.machine.state_machine_arn)
        iam.Policy(self, "StartAgain", roles=[self.role], statements=[again])

    def _role(self, function: lambda_.IFunction, task: Task) -> iam.Role:
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
            allow(["events:PutEvents"], bus, StringEquals={"events:source": SOURCE}),
            allow(
                ["sagemaker:SendPipelineExecutionStepSuccess", "sagemaker:SendPipelineExecutionStepFailure"], executions
            ),
        ]
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
            inline_policies={
                "Run": iam.PolicyDocument(statements=statements),
                "Tell": iam.PolicyDocument(statements=[*machine_logs(), tracing()]),
            },
        )
        accept_wildcards(role, MACHINE_LOGS, "*")
        accept_wildcards(role, "Any pipeline may wait for a repack; its secret token is the permission.", executions)
        return role
