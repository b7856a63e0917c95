"""What a user says about the DummyTraining step: a step's settings, and what its channels are called."""

from __future__ import annotations

from typing import Annotated, Literal

from .config_repack_step import HyperparametersRequired, Known, StepConfig, StepName


class DummyTrainingConfig(StepConfig):
    """The step's settings. Raises pydantic's ValidationError, which names the field and says what it wants."""

    step_name: StepName = "DummyTraining"
    hyperparameters_required: HyperparametersRequired = True
    channel_names: Annotated[Literal["classic", "new"], Known] = "classic"
    """classic: pretrained_model_path, hyperparameters_path and model_input; new: model_artifacts_input,
    hyperparameters_s3_uri and model_output."""
