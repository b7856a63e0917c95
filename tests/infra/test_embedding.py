"""What a stranger does: the construct installed and used in an app of their own, the pages' commands as they stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any
from unittest.mock import patch

import botocore.session
import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template
from botocore import xform_name

from docs import settings as page_of_settings
from infra import function
from infra.asset import BUILD
from infra.repacker import ModelRepacker
from infra.settings import Settings, WrongSetting
from tests.infra.api_models import wrong
from tests.stand_ins.asl_validator import NODE
from tests.stand_ins.stack import PROJECT, Json, resources

UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
COPIED = shutil.ignore_patterns(".*", "build", "cdk.out", "*.egg-info", "__pycache__", "results")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project: an installation writes into its folder."""
    return shutil.copytree(PROJECT, tmp_path_factory.mktemp("checkout") / "project", ignore=COPIED)


@pytest.fixture(scope="module")
def installed(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the installed packages, without their dependencies: those are here already."""
    target = tmp_path_factory.mktemp("installed")
    install = [UV, "pip", "install", "--quiet", "--python", sys.executable, "--no-deps", "--target", target, checkout]
    subprocess.run([str(word) for word in install], check=True)
    return target


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where Python, uv and node's commands are found: those from PyPI, whose own `npx` lost its way."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "python3").write_text(f'#!/bin/sh\nexec {Path(sys.executable).resolve()} "$@"\n')
    (folder / "python3").chmod(0o755)
    (folder / "uv").symlink_to(UV)
    node = NODE / "bin" / "node"
    (folder / "node").symlink_to(node)
    script = NODE / "lib" / "node_modules" / "npm" / "bin" / "npx-cli.js"
    (folder / "npx").write_text(f'#!/bin/sh\nexec {node} {script} --yes "$@"\n')
    (folder / "npx").chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def run(command: list[Any] | str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        shell=isinstance(command, str),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_every_package_is_installed_with_what_is_deployed(installed: Path) -> None:
    ours = {path.relative_to(PROJECT / "lambda_fn") for path in (PROJECT / "lambda_fn").rglob("*.py")}
    theirs = {path.relative_to(installed / "lambda_fn") for path in (installed / "lambda_fn").rglob("*.py")}
    assert theirs == ours
    assert (installed / "lambda_fn" / "Dockerfile").exists()
    assert (installed / "lambda_fn" / "requirements.txt").exists()
    assert not (installed / "infra").exists()


@pytest.mark.slow
def test_the_example_app_is_synthesized_with_the_cdks_default_flags(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(PROJECT / BUILD, tmp_path / BUILD) if (PROJECT / BUILD).exists() else None
    run(
        [sys.executable, PROJECT / "examples" / "cdk_app.py"], tmp_path, PYTHONPATH=str(installed), CDK_OUTDIR="cdk.out"
    )
    template: Json = json.loads((tmp_path / "cdk.out" / "Models.template.json").read_text())
    machines = resources(template, "AWS::StepFunctions::StateMachine")
    definition = json.dumps([machine["DefinitionString"] for machine in machines])
    assert r"AssignPublicIp\":\"DISABLED" in definition.replace("\\\\", "\\")
    private = [name for name in template["Resources"] if re.match(r"VpcPrivateSubnet\dSubnet", name)]
    assert len(private) == 2
    assert all(name in definition for name in private)
    assert len(resources(template, "AWS::S3::Bucket")) == 1
    assert (tmp_path / BUILD).exists()


class Own(Stack):
    """Somebody's stack, without a CDK flag, around the construct with some properties."""

    def __init__(self, **properties: Any) -> None:
        super().__init__(App(), "Own")
        self.properties = properties

    def repacker(self, **more: Any) -> ModelRepacker:
        with patch.object(function, "build_asset", lambda architecture: PROJECT / "lambda_fn"):
            return ModelRepacker(self, "Repacker", **self.properties, **more)

    @property
    def machines(self) -> str:
        template = dict(Template.from_stack(self).to_json())
        return json.dumps([of["DefinitionString"] for of in resources(template, "AWS::StepFunctions::StateMachine")])


def test_properties_that_cannot_work_together_are_one_sentence() -> None:
    with pytest.raises(WrongSetting, match="subnets are those of a given vpc"):
        Own().repacker(subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC))
    stack = Own()
    one, same = (s3.Bucket.from_bucket_name(stack, name, "one") for name in ("one", "again"))
    with pytest.raises(WrongSetting, match="output_prefix must be neither within 'models/' nor around it"):
        stack.repacker(input_bucket=one, output_bucket=same)
    with pytest.raises(WrongSetting, match="bucket_owner is for given buckets"):
        Own().repacker(settings=Settings(bucket_owner="210987654321"))
    apart = Settings(name="apart", input_prefix="in/", output_prefix="out/", bucket_owner="210987654321")
    stack = Own()
    one, same = (s3.Bucket.from_bucket_name(stack, name, "one") for name in ("one", "again"))
    assert stack.repacker(input_bucket=one, output_bucket=same, settings=apart).buckets.output is same


@pytest.mark.parametrize(
    ("kind", "given", "address"),
    [
        (ec2.SubnetType.PRIVATE_ISOLATED, None, "DISABLED"),
        (ec2.SubnetType.PUBLIC, None, "ENABLED"),
        (ec2.SubnetType.PUBLIC, False, "DISABLED"),
        (ec2.SubnetType.PRIVATE_ISOLATED, True, "ENABLED"),
    ],
)
def test_tasks_in_a_given_network_have_addresses_if_its_subnets_are_public(
    kind: ec2.SubnetType, given: bool | None, address: str
) -> None:
    stack = Own()
    subnets = [ec2.SubnetConfiguration(name="Only", subnet_type=kind)]
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2, nat_gateways=0, subnet_configuration=subnets)
    stack.repacker(vpc=vpc, assign_public_ip=given)
    assert f'AssignPublicIp\\":\\"{address}' in stack.machines.replace("\\\\", "\\")


def test_the_pages_example_is_that_of_the_app() -> None:
    block = re.search(r"```python\n(.*?)```", (PROJECT / "docs" / "embed.md").read_text(), re.DOTALL)
    assert block is not None
    app = "\n".join(line.strip() for line in (PROJECT / "examples" / "cdk_app.py").read_text().splitlines())
    for part in block[1].split("\n\n"):
        assert "\n".join(line.strip() for line in part.splitlines()) in app


@pytest.mark.slow
def test_the_page_of_deployment_works_as_it_stands_as_far_as_it_goes_without_an_account(
    checkout: Path, path: str
) -> None:
    page = (PROJECT / "docs" / "deploy.md").read_text()
    block = re.search(r"(?:^    .+\n)+", page, re.MULTILINE)
    assert block is not None
    commands = [line.strip() for line in block[0].splitlines()]
    without_account = commands[: next(n for n, command in enumerate(commands) if " bootstrap" in command)]
    assert any(" synth" in command for command in without_account)
    for command in without_account:
        quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "AWS_EC2_METADATA_DISABLED": "true"}
        # pip finds here what the extra asks for: the CDK, compiled already.
        run(command, checkout, PATH=path, PYTHONPATH=sysconfig.get_path("purelib"), **quiet)
    assert (checkout / "cdk.out" / "model-repacker.template.json").exists()


OPTION = r"""\s+--[a-z-]+(?:\s+(?:'[^']*'|"[^"]*"|[^\s'"`-][^\s`]*))?"""
COMMAND = re.compile(rf"aws ([a-z0-9]+) ([a-z]+(?:-[a-z]+)+)((?:{OPTION})*)")
GLOBAL = {"query", "output", "max-items"}


@pytest.mark.parametrize("page", ["deploy", "operate"])
def test_every_command_of_the_pages_is_one_that_aws_has(page: str) -> None:
    text = (PROJECT / "docs" / f"{page}.md").read_text()
    commands = COMMAND.findall(text)
    assert len(commands) == len(re.findall(r"\baws [a-z0-9]+ [a-z]+-", text))
    for service, command, options in commands:
        model = botocore.session.get_session().get_service_model({"s3api": "s3"}.get(service, service))
        operations = {xform_name(name).replace("_", "-"): name for name in model.operation_names}
        assert command in operations, f"aws {service} {command}"
        of = model.operation_model(operations[command]).input_shape
        assert of is not None
        known = {xform_name(name).replace("_", "-") for name in of.members} | GLOBAL
        given = {option.removeprefix("no-") for option in re.findall(r"--([a-z-]+)", re.sub(r"'[^']*'", "", options))}
        assert given <= known, f"aws {service} {command}: {given - known}"
        needed = {xform_name(name).replace("_", "-") for name in of.required_members}
        assert needed <= given or not options, f"aws {service} {command} needs {needed - given}"


def test_the_rule_for_aborted_uploads_is_one_that_s3_takes() -> None:
    text = " ".join((PROJECT / "docs" / "deploy.md").read_text().split())
    rules = re.search(r"--lifecycle-configuration '(.*?)'", text)
    assert rules is not None
    model = botocore.session.get_session().get_service_model("s3").operation_model("PutBucketLifecycleConfiguration")
    assert model.input_shape is not None
    assert list(wrong(json.loads(rules[1]), model.input_shape.members["LifecycleConfiguration"])) == []


def test_the_table_of_settings_is_of_the_settings() -> None:
    page = page_of_settings.PAGE.read_text()
    assert page_of_settings.page(page) == page, "run `make docs`"
    assert page_of_settings.BETWEEN.search(page)
    assert "None" not in page_of_settings.table()
