"""What AWS checks when the stack is created, and stand-ins do not: its documented limits, and its APIs' own models."""

from __future__ import annotations

import copy
import json
import re
from typing import Any, Iterator

import botocore.session
import pytest

from tests.infra.api_models import pascal, wrong
from tests.infra.concrete import Concrete, blocks, leaves, states
from tests.stand_ins.asl_validator import CannotInstall, faults
from tests.stand_ins.stack import Json, synthesize

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
LONGEST: Json = {
    "name": "n" * 64,
    "input_prefix": "i" * 199 + "/",
    "output_prefix": "o" * 199 + "/",
    "also_read": ("s3://" + "r" * 63 + "/" + "p" * 431, "s3://bucket/prefix/"),
    "also_write": ("s3://" + "w" * 63 + "/" + "p" * 431,),
    "hyperparameters_uri": "s3://" + "h" * 63 + "/" + "k" * 100,
    "kms_key_arn": KEY,
    "task_concurrency": 100,
    "acl": "bucket-owner-full-control",
}
"""As long as settings may be: what must still fit."""


@pytest.fixture(scope="module")
def longest(tmp_path_factory: pytest.TempPathFactory) -> Json:
    return synthesize(tmp_path_factory.mktemp("longest"), **LONGEST)


@pytest.fixture(params=["default", "longest"])
def concrete(request: pytest.FixtureRequest, template: Json, longest: Json) -> Concrete:
    """Both templates, resolved."""
    return Concrete(template) if request.param == "default" else Concrete(longest, stack=LONGEST["name"])


# State machines: the codes of ValidateStateMachineDefinition


def test_the_states_language_validator_finds_nothing(concrete: Concrete) -> None:
    for name, definition in concrete.machines().items():
        assert known(definition) == "", name


def known(definition: Json) -> str:
    try:
        return faults(definition)
    except CannotInstall as error:
        pytest.skip(str(error))


def test_twins_in_two_maps_are_found(template: Json) -> None:
    definition = copy.deepcopy(next(iter(Concrete(template).machines().values())))
    other = next(name for name in definition["States"] if name != definition["StartAt"])
    processor = next(state["ItemProcessor"] for state in definition["States"].values() if "ItemProcessor" in state)
    processor["States"][other] = {"Type": "Succeed"}
    assert repeated(definition) == {other}
    assert "DUPLICATE" in known(definition).upper()


def repeated(definition: Json) -> set[str]:
    names = [name for name, _ in states(definition)]
    return {name for name in names if names.count(name) > 1}


def test_state_names_are_unique_in_the_whole_machine_and_short(concrete: Concrete) -> None:
    for definition in concrete.machines().values():
        assert repeated(definition) == set()
        for name, _ in states(definition):
            assert len(name) <= 80
            assert name.isprintable()


def test_a_definition_is_within_a_mebibyte(concrete: Concrete) -> None:
    for properties in concrete.resources("AWS::StepFunctions::StateMachine").values():
        assert len(properties["DefinitionString"].encode()) <= 1 << 20


def test_every_transition_has_its_target_in_its_own_block_and_every_state_is_reached(concrete: Concrete) -> None:
    for definition in concrete.machines().values():
        for block in blocks(definition):
            reached, more = set(), {block["StartAt"]}
            while more:
                name = more.pop()
                assert name in block["States"], f"{name} is no state here"
                reached.add(name)
                more |= set(targets(block["States"][name])) - reached
            assert reached == set(block["States"])
            ends = [
                state for state in block["States"].values() if state["Type"] in ("Succeed", "Fail") or "End" in state
            ]
            assert ends, "no way to end"


def targets(state: Json) -> Iterator[str]:
    for path, value in leaves({name: state[name] for name in ("Next", "Default", "Choices", "Catch") if name in state}):
        if path.endswith(("/Next", "/Default")):
            yield value


def test_paths_stand_in_fields_that_take_them_and_nowhere_else(concrete: Concrete) -> None:
    # NO_DOLLAR, NO_PATH: what looks like a path or a function and would be taken for plain text.
    path = re.compile(r"^(\$[.\[$]|\$$|States\.\w+\()")
    takes_paths = re.compile(r"/(InputPath|OutputPath|ResultPath|ItemsPath|Variable|\w+Path|[^/]+\.\$)$")
    for definition in concrete.machines().values():
        for name, state in states(definition):
            for field, value in leaves({key: item for key, item in state.items() if key != "ItemProcessor"}):
                if isinstance(value, str):
                    assert bool(path.match(value)) == bool(takes_paths.search(field)), f"{name}{field}: {value}"


def test_retriers_and_catchers_keep_to_their_rules(concrete: Concrete) -> None:
    for definition in concrete.machines().values():
        for name, state in states(definition):
            for retrier in state.get("Retry", []):
                assert 1 <= retrier["IntervalSeconds"] <= retrier["MaxDelaySeconds"] < 31622400, name
                assert retrier["BackoffRate"] >= 1
                assert retrier["MaxAttempts"] <= 99999999
            for kind in ("Retry", "Catch"):
                found = [item["ErrorEquals"] for item in state.get(kind, [])]
                seen = [error for errors in found for error in errors]
                assert len(seen) == len(set(seen)), f"{name} names an error twice: the first counts"
                for place, errors in enumerate(found):
                    if "States.ALL" in errors:
                        assert (errors, place) == (["States.ALL"], len(found) - 1), name
            if "HeartbeatSeconds" in state:
                assert state["HeartbeatSeconds"] < state["TimeoutSeconds"]
            if state["Type"] == "Fail" and "Error" in state:
                assert not state["Error"].startswith("States.")


def test_a_task_waits_for_nothing_without_an_end(concrete: Concrete) -> None:
    for definition in concrete.machines().values():
        for name, state in states(definition):
            if state["Type"] == "Task" and ":lambda:invoke" in state["Resource"]:
                assert state["TimeoutSeconds"] <= 16 * 60, name


def test_map_labels_are_short_and_their_own(concrete: Concrete) -> None:
    for definition in concrete.machines().values():
        labels = [state["Label"] for _, state in states(definition) if "Label" in state]
        assert len(labels) == len(set(labels))
        assert all(re.fullmatch(r"[\w-]{1,40}", label) for label in labels)


# The services' APIs, by botocore's models of them

CALLS = {
    "lambda:invoke": ("lambda", "Invoke"),
    "states:startExecution": ("stepfunctions", "StartExecution"),
    "states:startExecution.sync:2": ("stepfunctions", "StartExecution"),
    "ecs:runTask.waitForTaskToken": ("ecs", "RunTask"),
    "events:putEvents": ("events", "PutEvents"),
    "aws-sdk:sagemaker:sendPipelineExecutionStepSuccess": ("sagemaker", "SendPipelineExecutionStepSuccess"),
    "aws-sdk:sagemaker:sendPipelineExecutionStepFailure": ("sagemaker", "SendPipelineExecutionStepFailure"),
}
"""Step Functions' integrations that are used → the API call whose parameters they take, each spelled in Pascal case."""
SESSION = botocore.session.get_session()


def shape(service: str, operation: str) -> Any:
    return SESSION.get_service_model(service).operation_model(operation).input_shape


def test_every_task_names_an_integration_and_its_parameters_as_the_api_has_them(concrete: Concrete) -> None:
    for definition in concrete.machines().values():
        for name, state in states(definition):
            if state["Type"] == "Task":
                found = re.fullmatch(r"arn:aws:states:::(.+)", state["Resource"])
                assert found, f"INVALID_RESOURCE: {state['Resource']}"
                parameters = dict(state["Parameters"])
                for taken_as_json in ("Payload", "Input"):  # the integration takes an object and makes text of it
                    parameters.pop(taken_as_json, None)
                if ":events:" in state["Resource"]:
                    for entry in parameters["Entries"]:
                        entry.pop("Detail", None)
                assert list(wrong(parameters, shape(*CALLS[found[1]]))) == [], name


def test_the_checker_objects_to_what_an_api_does_not_take() -> None:
    run = shape("ecs", "RunTask")
    assert list(wrong({"TaskDefinition": "t", "LaunchTyp": "FARGATE"}, run)) == ["/LaunchTyp is no parameter"]
    assert list(wrong({"TaskDefinition": "t", "LaunchType": "BARGE"}, run)) != []
    assert list(wrong({"Cluster.$": "$.c"}, run)) == ["/TaskDefinition is missing"]


CREATES = {
    "AWS::Pipes::Pipe": ("pipes", "CreatePipe", {"Name": "name"}),
    "AWS::Events::Rule": ("events", "PutRule", {"Name": "name"}),
    "AWS::SQS::Queue": ("sqs", "CreateQueue", {"QueueName": "name"}),
    "AWS::Logs::LogGroup": ("logs", "CreateLogGroup", {"LogGroupName": "name"}),
    "AWS::CloudWatch::Alarm": ("cloudwatch", "PutMetricAlarm", {"AlarmName": "name"}),
    "AWS::ECS::TaskDefinition": ("ecs", "RegisterTaskDefinition", {}),
    "AWS::Lambda::Function": ("lambda", "CreateFunction", {"FunctionName": "name"}),
}
"""CloudFormation's resources whose properties go to one call under the same names."""
NOT_OF_THE_CALL = {"Tags", "Targets", "State", "RetentionInDays", "Code", "EventPattern"}


@pytest.mark.parametrize("kind", CREATES)
def test_what_a_resource_is_created_with_is_within_its_apis_limits(concrete: Concrete, kind: str) -> None:
    service, operation, more = CREATES[kind]
    made = concrete.resources(kind)
    assert made
    members = {pascal(name) for name in shape(service, operation).members}
    for name, properties in made.items():
        given = {key: value for key, value in properties.items() if key in members - NOT_OF_THE_CALL}
        found = list(wrong({**given, **more}, shape(service, operation)))
        assert [fault for fault in found if "/Code is missing" not in fault] == [], name


# Documented limits that no model holds


def test_event_patterns_are_short_and_their_wildcards_valid(concrete: Concrete) -> None:
    for rule in concrete.resources("AWS::Events::Rule").values():
        pattern = rule["EventPattern"]
        assert len(json.dumps(pattern, separators=(",", ":"))) <= 2048
        for path, value in leaves(pattern):
            assert re.search(r"/\d+(/wildcard)?$", path), "every leaf stands in a list"
            if path.endswith("/wildcard"):
                assert "**" not in value
                assert value.count("*") <= 3
                assert "\\" not in value


def test_a_pipe_starts_a_standard_machine_without_waiting_and_one_message_at_a_time(concrete: Concrete) -> None:
    for pipe in concrete.resources("AWS::Pipes::Pipe").values():
        target = pipe["TargetParameters"]["StepFunctionStateMachineParameters"]
        assert target["InvocationType"] == "FIRE_AND_FORGET", "a Standard machine takes no other"
        # One message with the pipe's envelope and 256 KiB of body is more than a machine takes: see docs/operate.md.
        assert pipe["SourceParameters"]["SqsQueueParameters"]["BatchSize"] == 1


def test_a_machines_log_takes_no_room_in_the_accounts_resource_policy(concrete: Concrete) -> None:
    groups = concrete.resources("AWS::Logs::LogGroup").values()
    names = [group["LogGroupName"] for group in groups if "LogGroupName" in group]
    assert len(set(names)) == len(concrete.machines())
    assert all(re.fullmatch(r"/aws/vendedlogs/states/[\w./#-]{1,400}", name) for name in names)


def test_policies_are_within_iams_quotas(concrete: Concrete) -> None:
    def size(document: Json) -> int:
        return len(re.sub(r"\s", "", json.dumps(document)))

    attached = concrete.resources("AWS::IAM::Policy")
    for name, role in concrete.resources("AWS::IAM::Role").items():
        own = [policy["PolicyDocument"] for policy in role.get("Policies", [])]
        ref = Concrete._name(concrete, name)
        more = [policy["PolicyDocument"] for policy in attached.values() if ref in policy["Roles"]]
        assert sum(map(size, own + more)) <= 10240, name
        assert size(role["AssumeRolePolicyDocument"]) <= 2048
    for policy in concrete.resources("AWS::SQS::QueuePolicy").values():
        assert size(policy["PolicyDocument"]) <= 20480


def test_a_functions_environment_and_a_tasks_overrides_fit(concrete: Concrete) -> None:
    from lambda_fn.handler import INTO_THE_TASK

    for function in concrete.resources("AWS::Lambda::Function").values():
        variables = function.get("Environment", {}).get("Variables", {})
        assert sum(len(name) + len(value) for name, value in variables.items()) <= 4096
    token = 1024
    assert INTO_THE_TASK + token + len('{"containerOverrides":[{"environment":[{"name":"REPACK_REQUEST"}]}]}') < 8192


def test_the_dashboards_body_is_one_that_cloudwatch_takes(concrete: Concrete) -> None:
    for dashboard in concrete.resources("AWS::CloudWatch::Dashboard").values():
        body = json.loads(dashboard["DashboardBody"])
        assert 0 < len(body["widgets"]) <= 500
        for widget in body["widgets"]:
            assert widget["type"] in ("metric", "text", "log", "alarm", "explorer")
            assert 0 <= widget["x"] <= 23
            assert 1 <= widget["width"] <= 24 - widget["x"]
            assert 1 <= widget["height"] <= 1000
            if widget["type"] == "metric":
                assert widget["properties"]["region"]
                for metric in widget["properties"]["metrics"]:
                    checked_metric(metric)
            if widget["type"] == "alarm":
                assert 1 <= len(widget["properties"]["alarms"]) <= 100


def checked_metric(metric: list[Any]) -> None:
    if "expression" in metric[0]:
        search = re.match(r"SEARCH\('\{([^}]*)\}", metric[0]["expression"]) if isinstance(metric[0], dict) else None
        for name in search[1].split(",") if search else []:
            # What holds more than letters, digits, / and _ has to be quoted in a schema.
            assert re.fullmatch(r'[\w/]+|"[^"]+"', name), name
        assert len(metric[0]["expression"]) <= 1024
    else:
        assert len([part for part in metric if isinstance(part, str)]) >= 2


def test_alarms_read_what_the_dashboard_shows_in_periods_that_exist(concrete: Concrete) -> None:
    for alarm in concrete.resources("AWS::CloudWatch::Alarm").values():
        periods = [
            alarm.get("Period"),
            *(item.get("MetricStat", {}).get("Period") for item in alarm.get("Metrics", [])),
        ]
        assert all(period % 60 == 0 for period in periods if period)
        assert alarm["EvaluationPeriods"] * 300 <= 86400
        assert len(alarm["AlarmDescription"]) <= 1024


@pytest.mark.parametrize(("partition", "region"), [("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")])
def test_no_arn_is_of_another_partition(template: Json, partition: str, region: str) -> None:
    text = json.dumps(Concrete(template, partition, region).resolved(template["Resources"]))
    assert f"arn:{partition}:" in text
    others = set(re.findall(r"arn:(aws[\w-]*):", text)) - {partition}
    assert others == set()


def test_descriptions_are_within_their_lengths(concrete: Concrete) -> None:
    for group in concrete.resources("AWS::EC2::SecurityGroup").values():
        assert re.fullmatch(r"[\w .:/()#,@\[\]+=&;{}!$*-]{1,255}", group["GroupDescription"])
    for role in concrete.resources("AWS::IAM::Role").values():
        assert len(role.get("Description", "")) <= 1000


def test_a_stacks_outputs_are_described_and_few(template: Json) -> None:
    outputs = template["Outputs"]
    assert len(outputs) <= 200
    assert all(0 < len(of["Description"]) <= 1024 for of in outputs.values())
    assert len(template["Resources"]) <= 500
