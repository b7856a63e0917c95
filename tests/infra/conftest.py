"""The stack that the tests of `infra` look at: its template, and the same in moto."""

from __future__ import annotations

from typing import Iterator

import pytest

from tests.stand_ins.stack import Deployment, Json, deploy, synthesize


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Json:
    return synthesize(tmp_path_factory.mktemp("default"))


@pytest.fixture(scope="module")
def deployment(template: Json) -> Iterator[Deployment]:
    """One stack for a module's tests; each uses keys of its own."""
    with deploy(template) as stack:
        yield stack
