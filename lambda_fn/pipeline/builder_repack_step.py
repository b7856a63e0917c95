"""From a config to a pipeline step: a processing job, a call of the deployed function, or a message to its queue.

All uploads happen in `create_step`, to keys that are their content's hash: the same config twice gives the same
definition and uploads once, and an earlier pipeline never sees a later one's files.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Iterable, Iterator, Mapping, Optional, Sequence, Union

from botocore.exceptions import ClientError

from . import sdk, shipped
from .config_repack_step import RepackStepConfig, StepConfig, s3_input, s3_uri
from .places import (
    ARCHIVE_SUFFIXES,
    DOCUMENT_SUFFIXES,
    below,
    input_of,
    is_pipeline_variable,
    kind_of,
    object_of,
    parent_of,
)
from .repack_step_contract import EDIT_FOLDER
from .repack_step_spec import REPACK_STEP_SPEC
from .specification import DependencySpec, DependencyType, OutputSpec, StepSpecification
from .wanted import wanted

CODE_FOLDER = "/opt/ml/processing/input/code"
MODEL = "model.tar.gz"
HYPERPARAMETERS = "hyperparameters.json"

MOST_INPUTS = 7
"""Of a job's ten inputs: what the code, its launcher and the packed edit leave."""

RESULT_OUTPUTS = ("output_uri", "method")
"""What the deployed function and state machine answer, of a Result."""

FITTING = {
    DependencyType.PROCESSING_INPUT: (DependencyType.MODEL_ARTIFACTS, DependencyType.PROCESSING_OUTPUT),
    DependencyType.HYPERPARAMETERS: (DependencyType.HYPERPARAMETERS, DependencyType.PROCESSING_OUTPUT),
}
"""Which types of output can serve which type of dependency."""


class StepBuilder:
    """Builds a step that repacks.

    Raises ValueError where it cannot be built; errors of S3 and of SageMaker's SDK pass through.
    """

    config_class: type[StepConfig]
    folder: str
    """Below the pipeline's place: what a step of this kind keeps there."""

    def _specification(self) -> StepSpecification:
        """The step's, as the config has it."""
        raise NotImplementedError

    def __init__(
        self,
        config: StepConfig,
        sagemaker_session: Any = None,
        role: Any = None,
        registry_manager: Any = None,
        dependency_resolver: Any = None,
        notebook_root: Any = None,
    ) -> None:
        """The last three are what assemblers of this family give to every builder; this one has no use for them."""
        self.config = config
        self.session = sdk.PipelineSession() if sagemaker_session is None else sagemaker_session
        self.role = role
        self.validate_configuration()
        self.spec = self._specification()
        contract = self.spec.script_contract
        assert contract is not None
        self.contract = contract
        self.model_name, self.hyperparameters_name = [*self.contract.expected_input_paths][:2]
        (self.output_name,) = self.contract.expected_output_paths
        if config.where != "processing":
            answer = self.spec.outputs[self.output_name].model_copy(
                update={"property_path": f"properties.Outputs['{RESULT_OUTPUTS[0]}']"}
            )
            self.spec = self.spec.model_copy(update={"outputs": {self.output_name: answer}})

    def validate_configuration(self) -> None:
        """Raises ValueError where config, session and role do not make a step."""
        if not isinstance(self.config, self.config_class):
            raise ValueError(f"the config must be a {self.config_class.__name__}, not {type(self.config).__name__}")
        if not isinstance(self.session, sdk.PipelineSession):
            raise ValueError("the session must be a PipelineSession; an ordinary one would start the job at once")
        if self.config.where == "processing" and self.role is None:
            raise ValueError("a processing job needs a role")

    def create_step(
        self,
        inputs: Optional[Mapping[str, Any]] = None,
        outputs: Optional[Mapping[str, Any]] = None,
        dependencies: Optional[Sequence[Any]] = None,
        enable_caching: Optional[bool] = None,
    ) -> Any:
        """A ProcessingStep, LambdaStep or CallbackStep, as the config says where.

        `inputs` and `outputs` are S3 URIs or pipeline variables by logical name. They win over what the steps in
        `dependencies` give, and that wins over the config.
        """
        dependencies = list(dependencies or ())
        inputs = {name: uri for name, uri in (inputs or {}).items() if uri is not None}
        open_needs = [need for name, need in self.spec.dependencies.items() if name not in inputs]
        given = {**self._from_steps(dependencies, open_needs), **inputs}
        caching = self.config.enable_caching if enable_caching is None else enable_caching
        common = {
            "name": self.config.step_name,
            "cache_config": sdk.cache(caching, self.config.cache_expire_after),
            "depends_on": dependencies or None,
        }
        if self.config.where == "processing":
            arguments = self._processing_arguments(given, outputs or {})
            step = sdk.processing_step(arguments, retry_policies=self.config.retry_policies, **common)
        else:
            step = self._answering_step(self._get_request(given, outputs or {}), common)
        step._spec = self.spec  # noqa: SLF001 - where builders of this family look for it
        return step

    def model(self, step: Any) -> Any:
        """The archive that a step of this builder made, as a pipeline variable: what a model's ModelDataUrl must be."""
        return object_of(self.output(step), MODEL, ARCHIVE_SUFFIXES)

    def output(self, step: Any) -> Any:
        """What the step says of its output: a processing job the folder that the archive is in, the others its URI."""
        return sdk.resolve(step, self.spec.outputs[self.output_name].property_path)

    def extract_inputs_from_dependencies(self, dependency_steps: Sequence[Any]) -> dict[str, Any]:
        """What steps with a specification give, by logical name of ours; a namesake goes before others that fit."""
        return self._from_steps(dependency_steps, self.spec.dependencies.values())

    def _from_steps(self, steps: Sequence[Any], needs: Iterable[DependencySpec]) -> dict[str, Any]:
        found = {}
        for need in needs:
            fitting = [(step, output) for step in steps for output in _offers(step, need)]
            namesakes = [offer for offer in fitting if offer[1].matches_name_or_alias(need.logical_name)]
            offers = namesakes or fitting
            if len(offers) > 1:
                names = ", ".join(f"{output.logical_name} of {step.name}" for step, output in offers)
                raise ValueError(f"{names} could each be {need.logical_name}; say which one in inputs")
            for step, output in offers:
                found[need.logical_name] = sdk.resolve(step, output.property_path)
        return found

    def _processing_arguments(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
        """A processor's `run`, recorded by the session; nothing is left for it to upload."""
        contents = shipped.files(self.config.wheels, self.contract.entry_point)
        digest = shipped.digest(contents)
        job_inputs = self._get_inputs(inputs)
        code = self._upload(shipped.ARCHIVE, digest, shipped.archive(contents))
        launcher = self._upload(shipped.LAUNCHER, digest, shipped.launcher(self.contract.entry_point))
        return self._create_processor().run(
            code=launcher,
            inputs=[*job_inputs, sdk.processing_input("code", code, CODE_FOLDER)],
            outputs=self._get_outputs(outputs),
            arguments=self._get_job_arguments(),
        )

    def _create_processor(self) -> Any:
        config = self.config
        image = config.image_uri
        if image is None:
            image = sdk.sklearn_image(config.processing_framework_version, self.session.boto_region_name)
        return sdk.framework_processor(
            image_uri=image,
            role=self.role,
            instance_type=config.effective_instance_type,
            instance_count=config.processing_instance_count,
            volume_size_in_gb=config.processing_volume_size,
            max_runtime_in_seconds=config.max_runtime_in_seconds,
            volume_kms_key=config.volume_kms_key,
            output_kms_key=config.output_kms_key,
            base_job_name=config.step_name,
            sagemaker_session=self.session,
            env=self._get_environment_variables(),
            tags=[{"Key": key, "Value": value} for key, value in config.tags.items()] or None,
            network_config=sdk.network(
                config.enable_network_isolation,
                config.encrypt_inter_container_traffic,
                config.subnets,
                config.security_group_ids,
            ),
        )

    def _get_inputs(self, inputs: Mapping[str, Any]) -> list[Any]:
        """The job's inputs; what the config has on disk is uploaded."""
        return [
            sdk.processing_input(
                name,
                input_of(uri, self._suffixes(name)),
                str(PurePosixPath(self.contract.expected_input_paths[name]).parent),
            )
            for name, uri in self._sources(inputs).items()
        ]

    def _get_outputs(self, outputs: Mapping[str, Any]) -> list[Any]:
        """The job's only output."""
        folder = self.contract.expected_output_paths[self.output_name]
        archive = self._destination(outputs)
        destination = parent_of(archive, MODEL)
        if destination is None:
            raise ValueError(
                f"a processing job puts {MODEL} into a folder: give outputs the folder's URI, or one that ends in "
                f'/{MODEL}; where="lambda" and "callback" can give the archive any name'
            )
        return [sdk.processing_output(self.output_name, folder, destination)]

    def _get_job_arguments(self) -> list[str]:
        """`--name value` for each path of the contract."""
        return [word for name, value in self.contract.expected_arguments.items() for word in (f"--{name}", value)]

    def _get_environment_variables(self) -> dict[str, str]:
        """The contract's variables as the config has them."""
        said = {
            "IF_PRESENT": self.config.if_present,
            "HYPERPARAMETERS_REQUIRED": str(self.config.hyperparameters_required).lower(),
        }
        if self.config.ratio_limit is not None:
            said["RATIO_LIMIT"] = f"{self.config.ratio_limit:g}"
        return {**self.contract.optional_env_vars, **said}

    def _get_request(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
        """The Request, as JSON, for the deployed function or queue; its URIs are objects, never folders."""
        sources = self._sources(inputs)
        more = self._more()
        hyperparameters = sources.get(self.hyperparameters_name)
        if hyperparameters is not None:
            more["hyperparameters_uri"] = object_of(hyperparameters, HYPERPARAMETERS, DOCUMENT_SUFFIXES)
        elif self.config.hyperparameters_required == "unless_in_model":
            raise ValueError(
                f'where="{self.config.where}" puts hyperparameters in and cannot ask the model for its own: give '
                'hyperparameters (the model\'s own stay with if_present="keep"), or let it be a processing job'
            )
        if not more:
            raise ValueError(f'without hyperparameters there is nothing for where="{self.config.where}" to do')
        return {
            "model_uri": object_of(sources[self.model_name], MODEL, ARCHIVE_SUFFIXES),
            "output_uri": self._destination(outputs),
            **more,
            "if_present": self.config.if_present,
        }

    def _more(self) -> dict[str, Any]:
        """What else than hyperparameters a Request asks for."""
        return {}

    def _answering_step(self, request: Mapping[str, Any], common: Mapping[str, Any]) -> Any:
        if self.config.where == "lambda":
            return sdk.lambda_step(self.config.function_arn, self.session, request, RESULT_OUTPUTS, **common)
        return sdk.callback_step(self.config.queue_url, request, RESULT_OUTPUTS, **common)

    def _sources(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Logical name → S3 URI or pipeline variable, without hyperparameters if there are none and need not be."""
        names = (self.model_name, self.hyperparameters_name)
        unknown = sorted(set(inputs) - set(names))
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is no input of this step; these are {' and '.join(names)}")
        sources = {name: s3_input(uri, self._suffixes(name)) for name, uri in inputs.items()}
        if self.model_name not in sources:
            sources[self.model_name] = self._prepare_model_file()
        if self.hyperparameters_name not in sources:
            if self.config.hyperparameters is not None:
                sources[self.hyperparameters_name] = self._prepare_hyperparameters_file()
            elif self.config.hyperparameters_required is True:
                raise ValueError(
                    f"there are no hyperparameters: set hyperparameters, give {self.hyperparameters_name} by inputs or "
                    "a dependency, or set hyperparameters_required=False"
                )
        return {name: sources[name] for name in names if name in sources}

    def _suffixes(self, name: str) -> tuple[str, ...]:
        return ARCHIVE_SUFFIXES if name == self.model_name else DOCUMENT_SUFFIXES

    def _prepare_model_file(self) -> Any:
        """Where the config's model lies in S3; one on disk is uploaded."""
        model = self.config.pretrained_model_path
        if model is None:
            raise ValueError(
                f"there is no model: set pretrained_model_path, or give {self.model_name} by inputs or a dependency"
            )
        if not isinstance(model, Path):
            return model
        seal = hashlib.sha256()
        with model.open("rb") as file:
            while chunk := file.read(1 << 20):
                seal.update(chunk)
        return self._upload(MODEL, seal.hexdigest(), model)

    def _prepare_hyperparameters_file(self) -> Any:
        """Where the config's hyperparameters lie in S3; known ones are uploaded."""
        document = self.config.hyperparameters_document
        if document is None:
            return self.config.hyperparameters
        return self._upload(HYPERPARAMETERS, hashlib.sha256(document).hexdigest(), document)

    def _upload(self, name: str, digest: str, content: Union[bytes, Path]) -> str:
        """The S3 URI that is the content's and its key's own; it is put there unless it is there."""
        place = self.config.pipeline_s3_loc
        if is_pipeline_variable(place):
            prefix = self.session.default_bucket_prefix
            place = f"s3://{self.session.default_bucket()}" + (f"/{prefix}" if prefix else "")
        kms_key = self.config.output_kms_key
        encryption: dict[str, str] = {}
        if kms_key is not None and not is_pipeline_variable(kms_key):
            encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}
            digest += "-" + hashlib.sha256(kms_key.encode()).hexdigest()[:16]
        uri = f"{place}/{self.folder}/uploads/{digest}/{name}"
        bucket, _, key = uri[len("s3://") :].partition("/")
        try:
            self._s3.head_object(Bucket=bucket, Key=key)
        except ClientError:  # absent, or we may not look: either way we put it
            if isinstance(content, Path):
                self._s3.upload_file(str(content), bucket, key, ExtraArgs=encryption)
            else:
                self._s3.put_object(Bucket=bucket, Key=key, Body=content, **encryption)
        return uri

    @cached_property
    def _s3(self) -> Any:
        return self.session.boto_session.client("s3", region_name=self.session.boto_region_name)

    def _destination(self, outputs: Mapping[str, Any]) -> Any:
        """The archive's place: as given by the output's name or alias, or in the execution's own folder.

        A shared folder would let one execution overwrite what another's cached step still points to.
        """
        for output, uri in outputs.items():
            if not self.spec.outputs[self.output_name].matches_name_or_alias(output):
                raise ValueError(f"{output} is no output of this step, whose only one is {self.output_name}")
            is_object = kind_of(s3_uri(uri), ARCHIVE_SUFFIXES) == "object"
            return uri if is_object else below(uri, MODEL)
        return sdk.join(self.config.pipeline_s3_loc, self.folder, "output", sdk.EXECUTION_ID, MODEL)


class RepackStepBuilder(StepBuilder):
    """Builds the general step: any edit of a model that may be known only when the pipeline runs."""

    config: RepackStepConfig
    config_class = RepackStepConfig
    folder = "repack"

    def _specification(self) -> StepSpecification:
        return REPACK_STEP_SPEC

    def environment(self) -> dict[str, str]:
        """For the model that is made of the step's archive: with it the SDK repacks nothing. Raises ValueError."""
        return self.config.environment

    def _get_inputs(self, inputs: Mapping[str, Any]) -> list[Any]:
        """The job's inputs, and what is put in: packed in one, of what lies in S3 one each."""
        given = super()._get_inputs(inputs)
        asked, local, beside = wanted(self.config), dict[str, bytes](), list[Any]()

        def place(value: Any) -> str:
            """Where the script will find it, from the edit's folder; a whole folder ends in a slash."""
            if isinstance(value, bytes):
                file = f"{len(local)}.tar.gz"
                local[file] = value
                return file
            folder = f"{EDIT_FOLDER}-{len(beside)}"
            beside.append(sdk.processing_input(f"edit-{len(beside)}", value, folder))
            return f"../{PurePosixPath(folder).name}" + ("/" if isinstance(value, str) and value.endswith("/") else "")

        document = {
            "files": {name: place(value) for name, value in asked.files.items()},
            "folders": {name: place(value) for name, value in asked.folders.items()},
            "remove": list(self.config.remove),
            "strip_root": self.config.strip_root,
        }
        local["edit.json"] = json.dumps(document, sort_keys=True).encode()
        if len(given) + len(beside) > MOST_INPUTS:
            raise ValueError(
                f"{len(beside)} files and folders lie in S3, and a job has room for {MOST_INPUTS - len(given)}: "
                "put them below one prefix and give that, or let some be local"
            )
        digest = hashlib.sha256(b"".join(hashlib.sha256(data).digest() for data in local.values())).hexdigest()
        for name, data in local.items():
            folder = self._upload(f"edit/{name}", digest, data)[: -len(name)]
        return [*given, sdk.processing_input("edit_path", folder, EDIT_FOLDER), *beside]

    def _more(self) -> dict[str, Any]:
        def place(value: Any) -> Any:
            if not isinstance(value, bytes):
                return value
            return self._upload("packed.tar.gz", hashlib.sha256(value).hexdigest(), value)

        asked = wanted(self.config)
        more = {
            "files": {name: place(value) for name, value in asked.files.items()},
            "folders": {name: place(value) for name, value in asked.folders.items()},
            "remove": list(self.config.remove),
            "strip_root": self.config.strip_root,
        }
        return {name: value for name, value in more.items() if value}


def _offers(step: Any, need: DependencySpec) -> Iterator[OutputSpec]:
    """The outputs of a step that could be what is needed, by type, kind of step, and words in their names."""
    spec = getattr(step, "_spec", None)
    if spec is None:
        return
    sources = {type(step).__name__, spec.step_type}
    for output in spec.outputs.values():
        kind = getattr(output.output_type, "value", output.output_type)  # others of the family have their own enum
        names = " ".join((output.logical_name, *output.aliases)).lower()
        if (
            DependencyType(kind) in FITTING.get(need.dependency_type, ())
            and sources & set(need.compatible_sources)
            and any(word in names for word in need.semantic_keywords)
        ):
            yield output
