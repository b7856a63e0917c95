"""The builder of DummyTraining: the repack step with hyperparameters, its channels named as its users know them."""

from __future__ import annotations

from .builder_repack_step import RESULT_OUTPUTS, StepBuilder
from .config_dummy_training_step import DummyTrainingConfig
from .dummy_training_spec import DUMMY_TRAINING_SPEC, DUMMY_TRAINING_SPEC_NEW_NAMES
from .specification import StepSpecification

__all__ = ["RESULT_OUTPUTS", "DummyTrainingStepBuilder"]


class DummyTrainingStepBuilder(StepBuilder):
    """Builds the step. Raises ValueError where it cannot be built; errors of S3 and of SageMaker's SDK pass through."""

    config: DummyTrainingConfig
    config_class = DummyTrainingConfig
    folder = "dummy_training"

    def _specification(self) -> StepSpecification:
        return DUMMY_TRAINING_SPEC_NEW_NAMES if self.config.channel_names == "new" else DUMMY_TRAINING_SPEC
