"""The import directions, read from the code: core <- stores <- repacker <- entry points, and infra apart from all."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pythons import PROMISED, installed

ROOT = Path(__file__).parents[1]
OURS = ("lambda_fn", "infra", "tests", "benchmarks", "docs", "examples")
FILES = sorted(file for folder in OURS for file in (ROOT / folder).rglob("*.py"))

# What a part of lambda_fn may import: parts of ours, and packages beside the standard library. The first that fits
# a module counts; a module that fits none is an entry point.
PARTS: dict[str, tuple[set[str], set[str]]] = {
    "lambda_fn.core": ({"lambda_fn.core"}, {"isal", "zlib_ng", "typing_extensions"}),  # the last for type checkers
    "lambda_fn.stores.s3": ({"lambda_fn.core", "lambda_fn.stores"}, {"awscrt", "botocore", "urllib3"}),
    "lambda_fn.stores": ({"lambda_fn.core", "lambda_fn.stores"}, set()),
    "lambda_fn.contract": ({"lambda_fn.core"}, set()),
    "lambda_fn.hyperparameters": ({"lambda_fn.core"}, set()),
    "lambda_fn.inspection": ({"lambda_fn.core", "lambda_fn.hyperparameters"}, set()),
    "lambda_fn.listing": ({"lambda_fn.core"}, set()),
    "lambda_fn.contents": ({"lambda_fn.core", "lambda_fn.stores"}, set()),
    "lambda_fn.repacker": (
        {
            "lambda_fn.core",
            "lambda_fn.contents",
            "lambda_fn.contract",
            "lambda_fn.hyperparameters",
            "lambda_fn.inspection",
            "lambda_fn.stores",
        },
        set(),
    ),
}

# What must run in SageMaker's oldest containers: Python 3.9 with nothing installed.
PORTABLE = (
    "core/*.py",
    "contents.py",
    "contract.py",
    "hyperparameters.py",
    "inspection.py",
    "repacker.py",
    "stores/__init__.py",
    "stores/local.py",
    "pipeline/dummy_training.py",
)
CORE = ROOT / "lambda_fn" / "core"
UNTESTED = {"__init__", "errors", "recipe", "store", "ustar"}
"""Chapters that only name things, of which others say what they mean."""
ANYWHERE = sorted(file for pattern in PORTABLE for file in (ROOT / "lambda_fn").glob(pattern))


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str, module: str, is_package: bool = False) -> Iterator[str]:
    """The full dotted names that a module's source imports, relative ones resolved; names in it count as modules."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")
            if node.level:
                base = base[: len(base) - node.level + is_package]
            prefix = ".".join([*(base if node.level else []), *([node.module] if node.module else [])])
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


def imports_of(file: Path) -> set[str]:
    return set(imported(file.read_text(), module_name(file), file.name == "__init__.py"))


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("import lambda_fn.stores.local as l", {"lambda_fn.stores.local"}),
        ("from . import tar", {"lambda_fn.core.tar"}),
        ("from .recipe import Copy, Literal", {"lambda_fn.core.recipe.Copy", "lambda_fn.core.recipe.Literal"}),
        ("from ..stores import local", {"lambda_fn.stores.local"}),
        ("def late():\n    import boto3", {"boto3"}),
    ],
)
def test_every_way_to_import_is_seen(line: str, names: set[str]) -> None:
    assert set(imported(line, "lambda_fn.core.scan")) == names
    assert set(imported(line, "lambda_fn.core", is_package=True)) == names


@pytest.mark.parametrize("file", [file for file in FILES if file.is_relative_to(ROOT / "lambda_fn")], ids=named)
def test_imports_point_one_way(file: Path) -> None:
    names = imports_of(file)
    assert not {name for name in names if within(name, set(OURS) - {"lambda_fn"})}
    for part, (ours, theirs) in PARTS.items():
        if within(module_name(file), {part}):
            allowed = ours | theirs | set(sys.stdlib_module_names)
            assert not {name for name in names if not within(name, allowed)}
            return


@pytest.mark.parametrize("file", [file for file in FILES if file.is_relative_to(ROOT / "infra")], ids=named)
def test_infra_deploys_a_folder_and_imports_none_of_it(file: Path) -> None:
    assert not {name for name in imports_of(file) if within(name, set(OURS) - {"infra"})}


def test_mypy_reads_the_modules_of_the_cdk_that_we_use_and_no_others() -> None:
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    (followed,) = (set(one["module"]) for one in overrides if one.get("follow_imports") == "silent")
    names = {name for file in FILES for name in imports_of(file) if within(name, {"aws_cdk"})}
    modules = {name if name.rpartition(".")[2].islower() else name.rpartition(".")[0] for name in names}
    assert followed == modules | {"aws_cdk"}


@pytest.mark.parametrize("file", ANYWHERE, ids=named)
def test_what_runs_anywhere_is_written_in_python_3_9(file: Path) -> None:
    ast.parse(file.read_text(), feature_version=(3, 9))


@pytest.mark.parametrize("version", PROMISED)
def test_what_runs_anywhere_needs_the_standard_library_alone(version: str) -> None:
    if version not in installed():
        pytest.skip(f"Python {version} is absent")
    modules = ", ".join(module_name(file) for file in ANYWHERE)
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.dont_write_bytecode = True; import {modules}"
    without_site_packages = [installed()[version], "-E", "-s", "-S", "-c", code]
    run = subprocess.run(without_site_packages, capture_output=True, text=True, cwd="/")
    assert run.returncode == 0, run.stderr


def test_the_lambda_starts_without_pydantic() -> None:
    code = "import sys, lambda_fn.handler; print([name for name in sys.modules if name.startswith('pydantic')])"
    environment = {**os.environ, "AWS_DEFAULT_REGION": "eu-west-1", "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd="/")
    assert run.stdout.strip() == "[]", run.stderr


TESTS = sorted(file for file in FILES if file.is_relative_to(ROOT / "tests"))


@pytest.mark.parametrize("file", TESTS, ids=named)
def test_no_test_leans_on_another(file: Path) -> None:
    """What several need has a place of its own, so that each file of tests can be read, moved and run by itself."""
    theirs = [name for name in imports_of(file) if within(name, {"tests"})]
    assert not [name for name in theirs if any(part.startswith("test_") for part in name.split("."))]


@pytest.mark.parametrize("file", TESTS, ids=named)
def test_what_several_tests_share_is_changed_by_none(file: Path) -> None:
    tree = ast.parse(file.read_text())
    shared = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests")
        for alias in node.names
    }
    changed = {
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load)
        if isinstance(node.value, ast.Name) and node.value.id in shared
    }
    assert not changed


@pytest.mark.parametrize("chapter", sorted(CORE.glob("*.py")), ids=named)
def test_each_chapter_of_the_core_has_its_tests(chapter: Path) -> None:
    assert chapter.stem in UNTESTED or (ROOT / "tests" / "core" / f"test_{chapter.stem}.py").exists()


def test_a_files_name_says_what_it_holds() -> None:
    nameless = {"common", "helper", "helpers", "misc", "util", "utils"}
    assert not [named(file) for file in FILES if nameless & set(file.relative_to(ROOT).with_suffix("").parts)]
