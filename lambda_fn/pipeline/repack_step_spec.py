"""The specification of the general step: it takes a model, and hyperparameters if there are any, and gives a model."""

from __future__ import annotations

from .dummy_training_spec import DUMMY_TRAINING_SPEC
from .repack_step_contract import REPACK_STEP_CONTRACT
from .specification import DependencySpec, DependencyType, NodeType, StepSpecification

MODEL, HYPERPARAMETERS = DUMMY_TRAINING_SPEC.dependencies.values()

REPACK_STEP_SPEC = StepSpecification(
    step_type="Repack",
    node_type=NodeType.INTERNAL,
    script_contract=REPACK_STEP_CONTRACT,
    dependencies=[
        MODEL,
        HYPERPARAMETERS.model_copy(update={"required": False}),
        DependencySpec(
            logical_name="edit_path",
            dependency_type=DependencyType.CUSTOM_PROPERTY,
            required=False,
            description="What else is to become of the model; the builder packs it from the config",
        ),
    ],
    outputs=list(DUMMY_TRAINING_SPEC.outputs.values()),
)
