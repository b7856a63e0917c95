"""The roles against the calls: what the code asked for is allowed, and what is allowed and unused has a reason."""

from __future__ import annotations

import json
import re

import pytest

from tests.infra.requests import archive, request_for
from tests.infra.roles import ROLES, allowed, many, statements
from tests.stand_ins.stack import LAMBDA_KEY, PROJECT, REGION, TASK_KEY, Deployment

AS_IAM_NAMES_THEM = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:CopyObject": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:UploadPartCopy": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "lambda:Invoke": "lambda:InvokeFunction",
}
ONLY_MOTO = {"ecs:DescribeTasks"}
"""It describes a task when it has started it; the service does not."""
UNUSED_HERE = {
    "s3:GetObjectTagging": "asked of sources that have tags to keep",
    "s3:GetObjectVersion": "asked with a version's id, which moto does not tell apart",
    "s3:GetObjectVersionTagging": "the same",
    "s3:PutObjectTagging": "asked when the source has tags to keep",
    "s3:AbortMultipartUpload": "asked when a large repack fails midway",
    "s3:ListMultipartUploadParts": "asked of an upload whose beginning got no answer",
    "s3:ListBucketMultipartUploads": "the same",
    "s3:DeleteObject": "asked when the store's checksum disproves an output",
    "s3:DeleteObjectVersion": "the same, by version",
    "s3:ListBucket": "decides between not found and forbidden",
    "states:SendTaskFailure": "asked when a task fails",
    "states:SendTaskHeartbeat": "asked every half minute",
}

CALLS = re.compile(
    r"""(?:client|machines|patient)\.(?!get_paginator)([a-z_0-9]+)\(|get_paginator\("([a-z_0-9]+)"\)|_say\("([a-z_]+)\""""
)
NEEDS = {
    "head_object": "s3:GetObject",
    "get_object": "s3:GetObject",
    "get_object_tagging": "s3:GetObjectTagging",
    "head_bucket": "s3:ListBucket",
    "list_objects_v2": "s3:ListBucket",
    "list_multipart_uploads": "s3:ListBucketMultipartUploads",
    "list_parts": "s3:ListMultipartUploadParts",
    "put_object": "s3:PutObject",
    "create_multipart_upload": "s3:PutObject",
    "upload_part": "s3:PutObject",
    "upload_part_copy": "s3:PutObject",
    "complete_multipart_upload": "s3:PutObject",
    "abort_multipart_upload": "s3:AbortMultipartUpload",
    "delete_object": "s3:DeleteObject",
    "describe_execution": "states:DescribeExecution",
    "send_task_success": "states:SendTaskSuccess",
    "send_task_failure": "states:SendTaskFailure",
    "send_task_heartbeat": "states:SendTaskHeartbeat",
}
"""Every call that stands in the code → its IAM action."""
OF_THE_FUNCTION_ALONE = {"states:DescribeExecution"}
"""Granted where tasks are capped."""


@pytest.fixture(scope="module")
def used(deployment: Deployment) -> set[tuple[str, str, str]]:
    """What our function, our task and the machine asked for in a few runs of every kind."""
    request = request_for(deployment, "permissions")
    assert deployment.execute(request)["status"] == "SUCCEEDED"
    broken = request_for(deployment, "broken")
    deployment.put("models/broken/model.tar.gz", archive(weights=b"w" * 5000)[:-30])
    assert deployment.execute(broken)["status"] == "FAILED"
    deployment.put("models/permissions/hyperparameters.json", b"{}")
    assert deployment.execute({"prefix": "models/permissions/"}, "BatchMachineArn")["status"] == "SUCCEEDED"
    deployment.seconds_left = 5
    assert deployment.execute(request_for(deployment, "on-fargate"))["status"] == "SUCCEEDED"
    deployment.seconds_left = 900
    return {
        (who, AS_IAM_NAMES_THEM.get(action, action), on)
        for who, action, on in deployment.calls
        if who in ROLES and action not in ONLY_MOTO
    }


def test_every_call_is_allowed(deployment: Deployment, used: set[tuple[str, str, str]]) -> None:
    refused = [call for call in sorted(used) if not allowed(deployment, ROLES[call[0]], call[1], call[2])]
    assert refused == []
    assert {who for who, _, _ in used} == set(ROLES)


@pytest.mark.parametrize("who", [LAMBDA_KEY, TASK_KEY])
def test_what_is_allowed_and_not_used_has_a_reason(
    deployment: Deployment, used: set[tuple[str, str, str]], who: str
) -> None:
    asked = {action for key, action, _ in used if key == who}
    granted = {action for statement in statements(deployment, ROLES[who][0]) for action in many(statement["Action"])}
    unexplained = {action for action in granted - asked - UNUSED_HERE.keys() if action.startswith(("s3:", "states:"))}
    assert unexplained == set()


def test_every_call_that_stands_in_the_code_is_granted_to_the_task(deployment: Deployment) -> None:
    files = [*PROJECT.glob("lambda_fn/*.py"), *PROJECT.glob("lambda_fn/stores/**/*.py")]
    calls = {next(filter(None, found)) for file in files for found in CALLS.findall(file.read_text())}
    assert "upload_part_copy" in calls, "the pattern finds calls"
    assert calls <= NEEDS.keys()
    granted = {action for item in statements(deployment, ROLES[TASK_KEY][0]) for action in many(item["Action"])}
    assert {NEEDS[call] for call in calls} - OF_THE_FUNCTION_ALONE <= granted


def test_a_neighbours_models_are_out_of_reach(deployment: Deployment) -> None:
    bucket = f"arn:aws:s3:::{deployment.outputs['OutputBucket']}"
    for key in (LAMBDA_KEY, TASK_KEY):
        assert allowed(deployment, ROLES[key], "s3:PutObject", f"{bucket}/models/a.tar.gz")
        assert not allowed(deployment, ROLES[key], "s3:PutObject", f"{bucket}/other/a.tar.gz")
        assert not allowed(deployment, ROLES[key], "s3:GetObject", f"arn:aws:s3:::elsewhere-{REGION}/models/a.tar.gz")


def test_the_page_of_rights_lists_what_the_stack_grants(deployment: Deployment) -> None:
    block = re.search(r"```json\n(.*?)```", (PROJECT / "docs" / "s3.md").read_text(), re.DOTALL)
    assert block is not None
    listed = {action for statement in json.loads(block[1])["Statement"] for action in many(statement["Action"])}
    granted = {action for item in statements(deployment, ROLES[TASK_KEY][0]) for action in many(item["Action"])}
    with_a_key = {"kms:Decrypt", "kms:GenerateDataKey"}
    assert listed == {action for action in granted if action.startswith("s3:")} | with_a_key
