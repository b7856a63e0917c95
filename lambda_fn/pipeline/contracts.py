"""What a job's script promises (paths, variables, arguments), and the check that it keeps the promise."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator, Union

from pydantic import BaseModel, ConfigDict, Field, field_validator

INPUT_ROOT = "/opt/ml/processing/input"
OUTPUT_ROOT = "/opt/ml/processing/output"


class ValidationResult(BaseModel):
    """The outcome of a check: each error breaks the promise, each warning only deserves a look."""

    is_valid: bool
    errors: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)


class ScriptContract(BaseModel):
    """A script's interface to the job it runs in; raises pydantic's ValidationError for an impossible one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entry_point: str
    expected_input_paths: dict[str, str]
    """Logical name → absolute path in the container."""
    expected_output_paths: dict[str, str]
    required_env_vars: list[str]
    optional_env_vars: dict[str, str] = Field(default_factory=dict)
    """Name → default."""
    expected_arguments: dict[str, str] = Field(default_factory=dict)
    """Name without its dashes → value."""
    framework_requirements: dict[str, str] = Field(default_factory=dict)
    description: str = ""

    @field_validator("entry_point")
    @classmethod
    def _is_python(cls, name: str) -> str:
        if not name.endswith(".py"):
            raise ValueError(f"entry_point must be a Python file (.py), not {name!r}")
        return name

    @field_validator("expected_input_paths")
    @classmethod
    def _inputs_are_mounted(cls, paths: dict[str, str]) -> dict[str, str]:
        return _below(INPUT_ROOT, paths, "input")

    @field_validator("expected_output_paths")
    @classmethod
    def _outputs_are_uploaded(cls, paths: dict[str, str]) -> dict[str, str]:
        return _below(OUTPUT_ROOT, paths, "output")

    @field_validator("expected_arguments")
    @classmethod
    def _arguments_are_kebab_case(cls, arguments: dict[str, str]) -> dict[str, str]:
        for name in arguments:
            if not name.replace("-", "").isalnum() or name != name.lower():
                raise ValueError(f"argument {name!r} must be lowercase letters, digits and hyphens")
        return arguments

    def validate_implementation(self, script_path: Union[str, Path]) -> ValidationResult:
        """Read the script, without running it, and say where it departs from this contract."""
        try:
            script = _Script(Path(script_path).read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError) as error:
            return ValidationResult(is_valid=False, errors=[f"{script_path} cannot be read as Python: {error}"])
        declared = {**self.expected_input_paths, **self.expected_output_paths}
        known = {*self.required_env_vars, *self.optional_env_vars}
        unread = sorted(set(self.required_env_vars) - script.variables)
        errors = [f"{path} ({name}) is not used" for name, path in declared.items() if path not in script.paths]
        errors += [f"${name} is required but never read" for name in unread]
        errors += [f"--{name} is not an argument" for name in self.expected_arguments if name not in script.arguments]
        warnings = [f"{path} is used but not declared" for path in sorted(script.paths - set(declared.values()))]
        warnings += [f"${name} is read but not declared" for name in sorted(script.variables - known)]
        return ValidationResult(is_valid=not errors, errors=errors, warnings=warnings)


def _below(root: str, paths: dict[str, str], kind: str) -> dict[str, str]:
    for name, path in paths.items():
        if path != root and not path.startswith(root + "/"):
            raise ValueError(f"{kind} path of {name} must lie below {root}, not {path!r}")
    return paths


class _Script:
    """What a script's source says of the container's paths, environment variables and arguments."""

    def __init__(self, source: str) -> None:
        tree = ast.parse(source)
        strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        self.paths = {
            text for text in strings if isinstance(text, str) and text.startswith((INPUT_ROOT + "/", OUTPUT_ROOT + "/"))
        }
        self.variables = set(_variables(tree))
        self.arguments = {
            node.args[0].value.lstrip("-")
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and _name(node.func) == "add_argument" and node.args
            if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
        }


def _variables(tree: ast.AST) -> Iterator[str]:
    """Literal keys of `environ` or `environ_vars`, by index or `get`, and of `getenv`."""
    for node in ast.walk(tree):
        key: object = None
        if isinstance(node, ast.Subscript) and _name(node.value) in ("environ", "environ_vars"):
            key = node.slice
        elif isinstance(node, ast.Call) and node.args:
            of_mapping = isinstance(node.func, ast.Attribute) and _name(node.func.value) in ("environ", "environ_vars")
            if _name(node.func) == "getenv" or (of_mapping and _name(node.func) == "get"):
                key = node.args[0]
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value


def _name(node: ast.AST) -> str:
    """`environ` of `os.environ` and of plain `environ`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
