"""The one place that knows which SageMaker Python SDK is installed: v3 and v2 do the same under different names."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import version
from typing import Any, Mapping, Optional, Sequence

V3 = int(version("sagemaker").split(".")[0]) >= 3


def _module(v3: str, v2: str) -> Any:
    return import_module(f"sagemaker.{v3 if V3 else v2}")


_callback_step = _module("mlops.workflow.callback_step", "workflow.callback_step")
_functions = _module("core.workflow.functions", "workflow.functions")
_image_uris = _module("core.image_uris", "image_uris")
_lambda_helper = _module("core.lambda_helper", "lambda_helper")
_lambda_step = _module("mlops.workflow.lambda_step", "workflow.lambda_step")
_network = _module("core.network", "network")
_processing = _module("core.processing", "processing")
_steps = _module("mlops.workflow.steps", "workflow.steps")
_variables = _module("core.workflow.execution_variables", "workflow.execution_variables")

PipelineSession: Any = _module("core.workflow.pipeline_context", "workflow.pipeline_context").PipelineSession
Pipeline: Any = _module("mlops.workflow.pipeline", "workflow.pipeline").Pipeline
ParameterString: Any = _module("core.workflow.parameters", "workflow.parameters").ParameterString
EXECUTION_ID: Any = _variables.ExecutionVariables.PIPELINE_EXECUTION_ID


def join(*parts: Any, on: str = "/") -> Any:
    """The parts with slashes between; a pipeline variable, whatever the parts are."""
    return _functions.Join(on=on, values=list(parts))


def sklearn_image(framework_version: str, region: str) -> str:
    """SageMaker's scikit-learn image. Raises ValueError, which names the versions there are."""
    return str(_image_uris.retrieve("sklearn", region, version=framework_version, instance_type="ml.m5.large"))


def network(
    isolation: bool, encrypt_traffic: bool, subnets: Optional[Sequence[Any]], security_groups: Optional[Sequence[Any]]
) -> Any:
    """A job's network: none at all, its own, or the given VPC's."""
    return _network.NetworkConfig(
        enable_network_isolation=isolation,
        encrypt_inter_container_traffic=encrypt_traffic,
        subnets=subnets,
        security_group_ids=security_groups,
    )


def framework_processor(**settings: Any) -> Any:
    """A FrameworkProcessor. Given `image_uri` and `base_job_name` it makes no estimator, so v2's is never used."""
    if not V3:
        estimator = import_module("sagemaker.sklearn.estimator").SKLearn
        settings = {"estimator_cls": estimator, "framework_version": "1.2-1", **settings}
    return _processing.FrameworkProcessor(**settings)


def processing_input(name: str, uri: Any, folder: str) -> Any:
    """Everything whose key begins like `uri`, downloaded to `folder`."""
    if not V3:
        return _processing.ProcessingInput(input_name=name, source=uri, destination=folder)
    shapes = import_module("sagemaker.core.shapes")
    s3_input = shapes.ProcessingS3Input(s3_uri=uri, local_path=folder, s3_data_type="S3Prefix", s3_input_mode="File")
    return shapes.ProcessingInput(input_name=name, s3_input=s3_input)


def processing_output(name: str, folder: str, uri: Any) -> Any:
    """The `folder`, uploaded below `uri` when the job ends."""
    if not V3:
        return _processing.ProcessingOutput(output_name=name, source=folder, destination=uri)
    shapes = import_module("sagemaker.core.shapes")
    s3_output = shapes.ProcessingS3Output(s3_uri=uri, local_path=folder, s3_upload_mode="EndOfJob")
    return shapes.ProcessingOutput(output_name=name, s3_output=s3_output)


def processing_step(step_args: Any, **common: Any) -> Any:
    """The step of a processor's recorded `run`."""
    return _steps.ProcessingStep(step_args=step_args, **common)


def lambda_step(arn: Any, session: Any, inputs: Mapping[str, Any], outputs: Sequence[str], **common: Any) -> Any:
    """The step that calls a function with `inputs`, and takes `outputs` from its answer."""
    function = _lambda_helper.Lambda(function_arn=arn, session=session)
    named = [_lambda_step.LambdaOutput(output_name=name) for name in outputs]
    return _lambda_step.LambdaStep(lambda_func=function, inputs=dict(inputs), outputs=named, **common)


def callback_step(queue_url: Any, inputs: Mapping[str, Any], outputs: Sequence[str], **common: Any) -> Any:
    """The step that sends a token and `inputs` to a queue, and waits until somebody answers it with `outputs`."""
    named = [_callback_step.CallbackOutput(output_name=name) for name in outputs]
    return _callback_step.CallbackStep(sqs_queue_url=queue_url, inputs=dict(inputs), outputs=named, **common)


def cache(enabled: bool, expire_after: str) -> Any:
    """Whether and for how long (ISO 8601) an earlier run may stand in for the step."""
    return _steps.CacheConfig(enable_caching=enabled, expire_after=expire_after)


def resolve(step: Any, property_path: str) -> Any:
    """The pipeline variable at `properties.A.B['c'].D` of a step."""
    value = step
    for attribute, key in re.findall(r"(\w+)|\['([^']+)'\]", property_path):
        value = getattr(value, attribute) if attribute else value[key]
    return value
