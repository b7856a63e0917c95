"""The template that the documentation is made of."""

from __future__ import annotations

import pytest

from tests.stand_ins.stack import Json, synthesize


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Json:
    return synthesize(tmp_path_factory.mktemp("docs"))
