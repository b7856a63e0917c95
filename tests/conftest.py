"""How thorough the tests are, and who judges them.

Hypothesis tries few examples by default, so that all tests run in minutes; HYPOTHESIS_PROFILE=thorough tries forty
times as many.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests import archives, readers

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
settings.register_profile("default", max_examples=50, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_report_header() -> list[str]:
    return [
        f"readers that judge: {readers.report()}",
        f"tars: Python's in four formats, {', '.join(archives.TREE_TARS)}",
        f"encoders: {len(archives.ENCODERS)} in Python, {', '.join(archives.PROGRAMS) or 'no others'}",
    ]
