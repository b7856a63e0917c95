"""How thorough the tests are, who judges them, one S3 and one wheel for all tests that need one.

Hypothesis tries the same few examples each time, so that an unchanged checkout gives the same result twice, within
minutes. Searching is `make hunt`'s: HYPOTHESIS_PROFILE=hunt tries four hundred times as many, others each time, and
HYPOTHESIS_PROFILE=thorough forty times as many.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from _pytest.terminal import TerminalReporter
from botocore.config import Config
from botocore.session import get_session
from hypothesis import HealthCheck, settings

from tests import archives, readers
from tests.deployment import ANYBODY, Deployment
from tests.programs import PROGRAMS, USED, absent, at_hand, pytest_runtest_setup, required
from tests.pythons import UV
from tests.stand_ins.aws_models import read_once
from tests.stand_ins.localstack import LEAST_PART, CannotStart, localstack

__all__ = ["pytest_runtest_setup"]

ROOT = Path(__file__).parents[1]

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
settings.register_profile("search", max_examples=50, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("same", parent=settings.get_profile("search"), derandomize=True, database=None)
settings.register_profile("thorough", parent=settings.get_profile("search"), max_examples=2000)
settings.register_profile("hunt", parent=settings.get_profile("search"), max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_report_header() -> list[str]:
    return [
        f"readers that judge: {readers.report()}",
        f"tars: Python's in four formats, {', '.join(at_hand(archives.TREE_TARS))}",
        f"encoders: {len(archives.ENCODERS)} in Python, {', '.join(at_hand(archives.PROGRAMS))}",
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"s3_url", "deployment"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("server")
    # `pytest -n` hands out the files in this order: none that takes long may be left for the end, when cores are idle.
    long = Counter(item.path for item in items for mark in item.iter_markers() if mark.name in ("server", "slow"))
    items.sort(key=lambda item: -long[item.path])


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    missing = [name for name in PROGRAMS if absent(name)]
    if missing:
        terminalreporter.write_line(f"absent, so not asked: {', '.join(missing)} (`make readers` installs them)")
    if required() and (unused := never_used(terminalreporter)):
        terminalreporter.write_line(f"no test used: {', '.join(unused)}", red=True)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A program that was installed for the tests and that none of them used is a failure."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")  # none in the processes of pytest-xdist
    if required() and terminal and never_used(terminal):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def never_used(terminal: TerminalReporter) -> list[str]:
    used = {value for report in terminal.getreports("passed") for key, value in report.user_properties if key == USED}
    return [name for name in PROGRAMS if name not in used]


@pytest.fixture(scope="session", autouse=True)
def models_are_read_once() -> Iterator[None]:
    with read_once():
        yield


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install` gets, built from a copy: building leaves files beside its sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("lambda_fn", "infra"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", folder / "dist", folder], check=True)
    return next((folder / "dist").glob("*.whl"))


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[int], str]]:
    """The URL of a running S3 by the size of the smallest part that it takes; each is started when first asked for."""
    with ExitStack() as running:

        @cache
        def url(least_part: int) -> str:
            try:
                return running.enter_context(localstack(least_part))
            except CannotStart as error:
                pytest.fail(str(error), pytrace=False)

        yield url


@pytest.fixture(scope="session")
def s3_url(servers: Callable[[int], str]) -> str:
    """The URL of a running S3."""
    return servers(LEAST_PART)


@pytest.fixture
def deployment(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """Empty buckets."""
    for name, value in ANYBODY.items():
        monkeypatch.setenv(name, value)
    config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
    client: Any = get_session().create_client("s3", region_name="eu-west-1", endpoint_url=s3_url, config=config)
    models, outputs = f"models-{uuid4().hex[:8]}", f"outputs-{uuid4().hex[:8]}"
    for bucket in (models, outputs):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    environment = {
        **ANYBODY,
        "AWS_ENDPOINT_URL_S3": s3_url,
        "REPACK_INPUT_PREFIX": "in/",
        "REPACK_OUTPUT_BUCKET": outputs,
        "REPACK_OUTPUT_PREFIX": "out/",
    }
    return Deployment(client, models, outputs, environment)
