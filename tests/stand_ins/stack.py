"""The stack as it is synthesized, and as it lives in moto with our own code behind it: AWS, on this machine.

`synthesize` gives the template, `deploy` a Deployment of it, which can be given objects and requests and tells what
it did. What moto lacks is mended here, and nothing else is: Lambda is our handler in this process, Fargate a process.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Callable, Iterator, Literal
from unittest.mock import patch

import boto3

import infra  # noqa: F401  finds node before the CDK looks for it

PROJECT = Path(__file__).parents[2]
REGION: Literal["eu-west-1"] = "eu-west-1"
ACCOUNT = "123456789012"
LAMBDA_KEY, TASK_KEY, MACHINE_KEY = "LAMBDA", "FARGATE", "ak"
"""Who calls: the access keys of our function and our task; moto's own machine always signs with `ak`."""

BEYOND_MOTO = {
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::EC2::FlowLog",
    "AWS::Pipes::Pipe",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::QueuePolicy",
    "Custom::S3AutoDeleteObjects",
}
"""What its CloudFormation cannot make; no repack depends on it."""

Json = dict[str, Any]


def synthesize(folder: Path, **settings: Any) -> Json:
    """The template that these settings give; raises if cdk-nag objects."""
    from aws_cdk import App, Validations
    from cdk_nag import AwsSolutionsChecks

    from infra import function
    from infra.settings import StackSettings
    from infra.stack import ModelRepackerStack

    context = json.loads((PROJECT / "cdk.json").read_text())["context"]
    # What the asset's folder holds is the asset's own tests' matter; here it only has to be one.
    with patch.object(function, "build_asset", lambda architecture: PROJECT / "lambda_fn"):
        app = App(context=context, outdir=str(folder))
        stack = StackSettings(**settings)
        ModelRepackerStack(app, stack.name, settings=stack)
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        app.synth()
    template: Json = json.loads((folder / f"{stack.name}.template.json").read_text())
    return template


def resources(template: Json, kind: str) -> list[Json]:
    return [resource["Properties"] for resource in template["Resources"].values() if resource["Type"] == kind]


@dataclass
class Deployment:
    """The stack in moto. `calls` are (access key, IAM action, resource) of all that was asked of it."""

    outputs: dict[str, str]
    handler: ModuleType
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    invocations: list[Json] = field(default_factory=list)
    tasks: list[subprocess.Popen[str]] = field(default_factory=list)
    answers: list[Callable[[Json], Json] | None] = field(default_factory=list)
    """What the next invocations answer instead of our handler (None: it answers): what AWS may do to it."""
    signals: list[signal.Signals] = field(default_factory=list)
    """What the newest task gets at its next calls of S3: what Fargate may do to it."""
    seconds_left: float = 900

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION)  # type: ignore[call-overload]

    def put(self, key: str, body: bytes) -> str:
        self.client("s3").put_object(Bucket=self.outputs["InputBucket"], Key=key, Body=body)
        return f"s3://{self.outputs['InputBucket']}/{key}"

    def get(self, uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body: bytes = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def output_uri(self, name: str) -> str:
        return f"s3://{self.outputs['OutputBucket']}/models/{name}"

    def execute(
        self,
        given: Any,
        machine: str = "StateMachineArn",
        seconds: float = 60,
        passed: Callable[[str], object] | None = None,
    ) -> Json:
        """Run a machine to its end: its description, with `output` parsed and `states` in order.

        Each state is told to `passed` as it is entered.
        """
        client = self.client("stepfunctions")
        started = client.start_execution(
            stateMachineArn=self.outputs[machine], name=str(uuid.uuid4()), input=json.dumps(given)
        )
        states: list[str] = []
        deadline = time.monotonic() + seconds
        while True:
            done: Json = client.describe_execution(executionArn=started["executionArn"])
            if passed or done["status"] != "RUNNING":
                events = client.get_execution_history(executionArn=started["executionArn"], maxResults=1000)["events"]
                entered = [event["stateEnteredEventDetails"] for event in events if "stateEnteredEventDetails" in event]
                for details in entered[len(states) :]:
                    states.append(details["name"])
                    if passed:
                        passed(details["name"])
            if done["status"] != "RUNNING":
                break
            assert time.monotonic() < deadline, "the machine does not end"
            time.sleep(0.05)
        done["states"] = states
        done["output"] = json.loads(done["output"]) if done.get("output") else None
        return done


def received(deployment: Deployment, queue: str) -> list[Any]:
    """All that lies in a queue, oldest first."""
    sqs, url = deployment.client("sqs"), deployment.outputs[queue]
    events = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            events.append(json.loads(message["Body"]))
    return events


@contextmanager
def deploy(template: Json) -> Iterator[Deployment]:
    """The template's stack in moto, until the context ends; the environment is the deployment's meanwhile."""
    from moto import mock_aws
    from moto.server import ThreadedMotoServer

    own = {
        "AWS_ACCESS_KEY_ID": "TEST",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": REGION,
        "POWERTOOLS_TRACE_DISABLED": "true",
        "AWS_LAMBDA_FUNCTION_NAME": "repacker",
    }
    moto = mock_aws(config={"lambda": {"use_docker": False}, "stepfunctions": {"execute_state_machine": True}})
    with patch.dict(os.environ, own), moto, ExitStack() as patches:
        server = ThreadedMotoServer(port=0, verbose=False)
        server.start()
        patches.callback(server.stop)
        yield _put_into_moto(template, patches, server.get_host_and_port())


def _put_into_moto(template: Json, patches: ExitStack, server: tuple[str, int]) -> Deployment:
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    assets = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket=assets, CreateBucketConfiguration={"LocationConstraint": REGION})
    for function in resources(template, "AWS::Lambda::Function"):
        s3.put_object(Bucket=assets, Key=function["Code"]["S3Key"], Body=b"")
    ssm = boto3.client("ssm", region_name=REGION)
    ssm.put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    # CloudFormation puts machines where nothing executes them, and functions where docker does.
    machines = patch("moto.stepfunctions.models.stepfunctions_backends", stepfunctions_parser_backends)
    patches.enter_context(machines)
    cloudformation = boto3.client("cloudformation", region_name=REGION)
    within = {name: item for name, item in template["Resources"].items() if item["Type"] not in BEYOND_MOTO}
    without = template["Resources"].keys() - within.keys()
    told = {
        name: of for name, of in template["Outputs"].items() if of["Value"] not in [{"Ref": gone} for gone in without]
    }
    body = json.dumps({**template, "Resources": within, "Outputs": told})
    cloudformation.create_stack(StackName="model-repacker", TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    stack = cloudformation.describe_stacks(StackName="model-repacker")["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    outputs.update(_listen(outputs["InputBucket"], outputs["StateMachineArn"]))
    configuration = boto3.client("lambda", region_name=REGION).get_function(FunctionName=outputs["FunctionArn"])
    os.environ.update(configuration["Configuration"]["Environment"]["Variables"])
    for name in [name for name in sys.modules if name in ("lambda_fn.handler", "lambda_fn.telemetry")]:
        del sys.modules[name]
    with patch.dict(os.environ, AWS_ACCESS_KEY_ID=LAMBDA_KEY):
        deployed = Deployment(outputs, importlib.import_module("lambda_fn.handler"))
    _mend_moto(patches)
    _count_failures(patches)
    _answer_with_our_handler(patches, deployed)
    _run_tasks(patches, deployed, f"http://127.0.0.1:{server[1]}")
    _record_calls(patches, deployed)
    return deployed


def _listen(bucket: str, machine_arn: str) -> dict[str, str]:
    """Queues for what the deployed rule's pattern lets through (`Spy`) and for what the machine tells (`Told`)."""
    s3 = boto3.client("s3", region_name=REGION)
    sqs = boto3.client("sqs", region_name=REGION)
    events: Any = boto3.client("events", region_name=REGION)
    # The template's property says so too, but moto's CloudFormation does not read it.
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    uploads = next(rule["Name"] for rule in events.list_rules()["Rules"] if "aws.s3" in rule["EventPattern"])
    (target,) = events.list_targets_by_rule(Rule=uploads)["Targets"]
    assert target["Arn"] == machine_arn
    events.remove_targets(Rule=uploads, Ids=[target["Id"]])  # moto cannot deliver to a state machine
    events.put_rule(Name="told", EventPattern=json.dumps({"source": ["model-repacker"]}))
    queues = {}
    for name, rule in (("Spy", uploads), ("Told", "told")):
        queues[name] = sqs.create_queue(QueueName=name)["QueueUrl"]
        events.put_targets(Rule=rule, Targets=[{"Id": name, "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"}])
    return queues


def _mend_moto(patches: ExitStack) -> None:
    """It does not translate Step Functions' "LaunchType" into ECS's "launchType", and knows no pipelines' callbacks."""
    from moto.sagemaker.responses import SageMakerResponse
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import (
        StateTaskService,
    )

    def operation(task: Any, action: str | None) -> Any:
        client = boto3.client(task._get_boto_service_name(), region_name=REGION)
        return client.meta.service_model.operation_model(
            client.meta.method_to_api_mapping[task._get_boto_service_action(action)]
        )

    def to_service(self: Any, parameters: Json, boto_service_name: Any = None, service_action_name: Any = None) -> None:
        if self.resource.api_name in ("ecs", "states"):
            self._to_boto_request(parameters, operation(self, service_action_name).input_shape)

    def from_service(self: Any, response: Any, boto_service_name: Any = None, service_action_name: Any = None) -> None:
        if self.resource.api_name in ("ecs", "states"):
            self._from_boto_response(response, operation(self, service_action_name).output_shape)

    patches.enter_context(patch.object(StateTaskService, "_normalise_parameters", to_service))
    patches.enter_context(patch.object(StateTaskService, "_normalise_response", from_service))
    answer = json.dumps({"PipelineExecutionArn": "arn"})
    for end in ("success", "failure"):
        name = f"send_pipeline_execution_step_{end}"
        patches.enter_context(patch.object(SageMakerResponse, name, lambda self: answer, create=True))


def _count_failures(patches: ExitStack) -> None:
    """moto reads how many failures a Distributed Map tolerates, and tolerates all."""
    from moto.stepfunctions.parser.api import HistoryEventType
    from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
        FailureEvent,
        FailureEventException,
    )
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
    from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.distributed_iteration_component import (
        DistributedIterationComponent,
    )

    run = DistributedIterationComponent._map_run
    exceeded = StatesErrorNameType.StatesExceedToleratedFailureThreshold

    def counted(self: Any, env: Any, eval_input: Any) -> None:
        run(self, env, eval_input)
        record = eval_input.map_run_record
        failed = record.item_counter.failed.get()
        percent, count = record.tolerated_failure_percentage, record.tolerated_failure_count
        if failed > count or failed > percent / 100 * len(env.stack[-1]):
            details: Any = {"mapRunFailedEventDetails": {"error": exceeded.to_name()}}
            raise FailureEventException(
                FailureEvent(env, StatesErrorName(exceeded), HistoryEventType.MapRunFailed, details)
            )

    patches.enter_context(patch.object(DistributedIterationComponent, "_map_run", counted))


def _answer_with_our_handler(patches: ExitStack, deployed: Deployment) -> None:
    from moto.awslambda_simple.models import LambdaSimpleBackend

    def invoke(self: Any, function_name: str, qualifier: str, body: str, headers: Any, response_headers: Any) -> bytes:
        event = json.loads(body)
        deployed.invocations.append(event)
        context = SimpleNamespace(
            function_name="repacker",
            memory_limit_in_mb=1769,
            invoked_function_arn=function_name,
            aws_request_id="request",
            get_remaining_time_in_millis=lambda: deployed.seconds_left * 1000,
        )
        answer = deployed.answers.pop(0) if deployed.answers else None
        try:
            result = answer(event) if answer else deployed.handler.handler(event, context)
        except Exception as error:  # noqa: BLE001  whatever it is, Lambda answers with it
            response_headers["x-amz-function-error"] = "Unhandled"
            result = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": []}
        return json.dumps(result).encode()

    patches.enter_context(patch.object(LambdaSimpleBackend, "invoke", invoke))


def _run_tasks(patches: ExitStack, deployed: Deployment, endpoint: str) -> None:
    """Fargate is a process: the image's entry point with the task's environment and what the machine adds to it."""
    from moto.ecs.models import EC2ContainerServiceBackend

    original = EC2ContainerServiceBackend.run_task

    def run_task(self: Any, *arguments: Any, **options: Any) -> Any:
        tasks = original(self, *arguments, **options)
        task: Any = tasks[0]
        (container,) = self.describe_task_definition(task.task_definition_arn).container_definitions
        (override,) = task.overrides["containerOverrides"]
        assert override["name"] == container["name"]
        given = {item["name"]: item["value"] for item in container["environment"] + override["environment"]}
        own = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": TASK_KEY,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": REGION,
        }
        command = [sys.executable, "-m", "lambda_fn.task"]

        def start() -> None:
            deployed.tasks.append(subprocess.Popen(command, env={**own, **given}, text=True))

        threading.Timer(0.2, start).start()  # the machine listens for the token only when run_task has returned
        return tasks

    patches.enter_context(patch.object(EC2ContainerServiceBackend, "run_task", run_task))


def _record_calls(patches: ExitStack, deployed: Deployment) -> None:
    """moto asks at this place, for every call, whether IAM would allow it."""
    from moto.core.authorization import ActionAuthenticatorMixin

    def note(self: Any, iam_request_cls: type, resource: str = "*") -> None:
        authorization = self.headers.get("Authorization", "")
        _, _, scope = authorization.partition("Credential=")
        parts = scope.split("/")
        if len(parts) > 3:
            action = self._get_action()
            name = action[0] if isinstance(action, list) else action
            deployed.calls.append((parts[0], f"{parts[3]}:{name}", resource))
        if parts[0] == TASK_KEY and deployed.signals:
            deployed.tasks[-1].send_signal(deployed.signals.pop(0))

    patches.enter_context(patch.object(ActionAuthenticatorMixin, "_authenticate_and_authorize_action", note))
