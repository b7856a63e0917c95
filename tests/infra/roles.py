"""The roles of a deployment, and what their policies allow."""

from __future__ import annotations

import ast
import fnmatch
from typing import Any, Iterator

from tests.stand_ins.stack import LAMBDA_KEY, MACHINE_KEY, TASK_KEY, Deployment

ROLES = {
    LAMBDA_KEY: ["RepackerFunctionRole"],
    TASK_KEY: ["RepackerTaskRole"],
    MACHINE_KEY: ["RepackerMachineRole", "RepackerBatchRole"],
}


def statements(deployment: Deployment, name: str) -> Iterator[Any]:
    iam = deployment.client("iam")
    for role in iam.list_roles()["Roles"]:
        if name in role["RoleName"]:
            for policy in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
                document = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=policy)["PolicyDocument"]
                # moto's CloudFormation keeps an inline policy as Python writes it.
                yield from (ast.literal_eval(document) if isinstance(document, str) else document)["Statement"]


def many(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def allowed(deployment: Deployment, names: list[str], action: str, resource: str) -> bool:
    """Whether a statement of the roles allows it; moto knows the resources of S3's calls only."""
    return any(
        action in many(statement["Action"])
        and (resource == "*" or any(fnmatch.fnmatchcase(resource, pattern) for pattern in many(statement["Resource"])))
        for name in names
        for statement in statements(deployment, name)
    )
