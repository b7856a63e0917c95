"""What `from lambda_fn import …` offers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lambda_fn
from lambda_fn.core import errors


@pytest.mark.parametrize("name", lambda_fn.__all__)
def test_every_exported_name_is_there(name: str) -> None:
    assert getattr(lambda_fn, name).__name__ == name


def test_every_error_is_exported() -> None:
    defined = {name for name, item in vars(errors).items() if isinstance(item, type)}
    assert defined <= set(lambda_fn.__all__)


def test_another_name_is_none() -> None:
    with pytest.raises(AttributeError, match="no attribute 'repakc'"):
        _ = lambda_fn.repakc


def test_importing_the_package_imports_nothing_of_it() -> None:
    code = "import sys, lambda_fn; print([name for name in sys.modules if name.startswith('lambda_fn.')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
