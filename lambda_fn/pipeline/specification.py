"""What a step takes from other steps and gives to them, said in data so that pipelines can be wired by it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional, Sequence, Union

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from .contracts import ScriptContract, ValidationResult


class DependencyType(Enum):
    """What kind of thing passes between two steps."""

    MODEL_ARTIFACTS = "model_artifacts"
    PROCESSING_INPUT = "processing_input"
    PROCESSING_OUTPUT = "processing_output"
    TRAINING_DATA = "training_data"
    HYPERPARAMETERS = "hyperparameters"
    PAYLOAD_SAMPLES = "payload_samples"
    CUSTOM_PROPERTY = "custom_property"


class NodeType(Enum):
    """A step's place in the graph."""

    SOURCE = "source"
    """Outputs only."""
    INTERNAL = "internal"
    """Dependencies and outputs."""
    SINK = "sink"
    """Dependencies only."""
    SINGULAR = "singular"
    """Neither."""


def _logical(name: str) -> str:
    name = name.strip()
    if not name.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"{name!r} must be letters, digits, underscores and hyphens")
    return name


def _distinct(words: list[str]) -> list[str]:
    """Stripped, in order, each once whatever its case."""
    kept: dict[str, str] = {}
    for word in filter(None, map(str.strip, words)):
        kept.setdefault(word.lower(), word)
    return list(kept.values())


def _once(names: list[str]) -> list[str]:
    """Stripped, in order, each once: `PytorchTraining` and `PyTorchTraining` are two."""
    return list(dict.fromkeys(filter(None, map(str.strip, names))))


LogicalName = Annotated[str, AfterValidator(_logical)]
Words = Annotated[list[str], AfterValidator(_distinct)]


class DependencySpec(BaseModel):
    """One thing a step needs."""

    model_config = ConfigDict(validate_assignment=True)

    logical_name: LogicalName
    dependency_type: DependencyType
    required: bool = True
    compatible_sources: Annotated[list[str], AfterValidator(_once)] = Field(default_factory=list)
    """Types of the steps that can give it."""
    semantic_keywords: Words = Field(default_factory=list)
    """Lowercase words that names of fitting outputs contain."""
    data_type: str = "S3Uri"
    description: str = ""

    @field_validator("semantic_keywords")
    @classmethod
    def _lowercase(cls, words: list[str]) -> list[str]:
        return [word.lower() for word in words]


class OutputSpec(BaseModel):
    """One thing a step gives."""

    model_config = ConfigDict(validate_assignment=True)

    logical_name: LogicalName
    output_type: DependencyType
    property_path: str
    """Where SageMaker says it at run time: `properties.…`."""
    data_type: str = "S3Uri"
    description: str = ""
    aliases: Annotated[list[LogicalName], AfterValidator(_distinct)] = Field(default_factory=list)

    @field_validator("property_path")
    @classmethod
    def _is_property(cls, path: str) -> str:
        path = path.strip()
        if not path.startswith("properties."):
            raise ValueError(f"property_path must start with 'properties.', not {path!r}")
        return path

    @model_validator(mode="after")
    def _aliases_are_others(self) -> OutputSpec:
        if self.logical_name.lower() in (alias.lower() for alias in self.aliases):
            raise ValueError(f"{self.logical_name!r} cannot be an alias of itself")
        return self

    def matches_name_or_alias(self, name: str) -> bool:
        """Whether this output is called so; aliases match in any case."""
        return name == self.logical_name or name.lower() in (alias.lower() for alias in self.aliases)


class StepSpecification(BaseModel):
    """A step's dependencies and outputs, given as lists and kept by logical name."""

    model_config = ConfigDict(validate_assignment=True)

    step_type: str
    node_type: NodeType
    dependencies: dict[str, DependencySpec] = Field(default_factory=dict)
    outputs: dict[str, OutputSpec] = Field(default_factory=dict)
    script_contract: Optional[ScriptContract] = None

    if TYPE_CHECKING:  # the validator below takes lists as well

        def __init__(
            self,
            *,
            step_type: str,
            node_type: NodeType,
            dependencies: Sequence[DependencySpec] = (),
            outputs: Sequence[OutputSpec] = (),
            script_contract: Optional[ScriptContract] = None,
        ) -> None: ...

    @field_validator("step_type")
    @classmethod
    def _is_named(cls, step_type: str) -> str:
        if not step_type.strip():
            raise ValueError("step_type must not be empty")
        return step_type.strip()

    @field_validator("dependencies", "outputs", mode="before")
    @classmethod
    def _by_name(cls, items: Any) -> Any:
        if not isinstance(items, (list, tuple)):
            return items
        named = {item.logical_name: item for item in items}
        if len(named) != len(items):
            raise ValueError("two of them have the same logical name")
        return named

    @model_validator(mode="after")
    def _shape_fits_node_type(self) -> StepSpecification:
        needs = self.node_type in (NodeType.INTERNAL, NodeType.SINK)
        gives = self.node_type in (NodeType.INTERNAL, NodeType.SOURCE)
        for given, wanted, kind in ((self.dependencies, needs, "dependencies"), (self.outputs, gives, "outputs")):
            if bool(given) != wanted:
                verb = "must" if wanted else "cannot"
                raise ValueError(f"{self.node_type.value} step {self.step_type!r} {verb} have {kind}")
        names = [name.lower() for name in self.list_all_output_names()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"outputs of {self.step_type!r} share the name {', '.join(twice)}")
        return self

    def get_dependency(self, logical_name: str) -> Optional[DependencySpec]:
        return self.dependencies.get(logical_name)

    def get_output(self, logical_name: str) -> Optional[OutputSpec]:
        return self.outputs.get(logical_name)

    def get_output_by_name_or_alias(self, name: str) -> Optional[OutputSpec]:
        return next((output for output in self.outputs.values() if output.matches_name_or_alias(name)), None)

    def list_all_output_names(self) -> list[str]:
        return [name for output in self.outputs.values() for name in (output.logical_name, *output.aliases)]

    def list_required_dependencies(self) -> list[DependencySpec]:
        return [dependency for dependency in self.dependencies.values() if dependency.required]

    def list_optional_dependencies(self) -> list[DependencySpec]:
        return [dependency for dependency in self.dependencies.values() if not dependency.required]

    def validate_contract_alignment(self) -> ValidationResult:
        """Whether each of the contract's inputs and outputs is one of this specification's."""
        if self.script_contract is None:
            return ValidationResult(is_valid=True)
        inputs, outputs = self.script_contract.expected_input_paths, self.script_contract.expected_output_paths
        errors = [f"input {name} of the contract is no dependency" for name in inputs if name not in self.dependencies]
        errors += [f"output {name} of the contract is not specified" for name in outputs if name not in self.outputs]
        return ValidationResult(is_valid=not errors, errors=errors)

    def validate_script_compliance(self, script_path: Union[str, Path]) -> ValidationResult:
        """Whether the script keeps the contract."""
        if self.script_contract is None:
            return ValidationResult(is_valid=True)
        return self.script_contract.validate_implementation(script_path)
