"""What a user says about a step that repacks: all is checked here, before anything is built or uploaded.

`StepConfig` is what every such step has: a model, hyperparameters, a place, a machine. `RepackStepConfig` adds what
else is to become of the model.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Callable, Literal, Mapping, Optional, Sequence, Union
from urllib.parse import unquote

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..core.edit import Edit, check_name
from ..core.errors import InvalidHyperparameters, InvalidRequest
from ..hyperparameters import ENTRY, parse, serialize
from ..repacker import HYPERPARAMETERS_LIMIT
from .places import ARCHIVE_SUFFIXES, DOCUMENT_SUFFIXES, S3_URI, SUFFIX, is_pipeline_variable

FUNCTION_ARN = r"^arn:[\w-]+:lambda:[\w-]+:\d{12}:function:\S+$"

CODE = "code"

PROCESSING_ONLY = (
    "processing_instance_type_small",
    "processing_instance_type_large",
    "use_large_processing_instance",
    "processing_instance_count",
    "processing_volume_size",
    "processing_framework_version",
    "image_uri",
    "wheels",
    "volume_kms_key",
    "output_kms_key",
    "enable_network_isolation",
    "encrypt_inter_container_traffic",
    "subnets",
    "security_group_ids",
    "tags",
    "max_runtime_in_seconds",
    "retry_policies",
    "ratio_limit",
)
"""Settings of a job: where the step only calls what is deployed, they are the deployment's."""


def _text(value: Any) -> Any:
    if is_pipeline_variable(value) or (isinstance(value, str) and value):
        return value
    raise ValueError("give a text or a pipeline variable")


def s3_uri(value: Any) -> Any:
    """An S3 URI as it is given, or a pipeline variable. Raises ValueError for anything else."""
    if is_pipeline_variable(value):
        return value
    if not isinstance(value, str) or not S3_URI.fullmatch(value):
        raise ValueError(f"give s3://bucket/prefix or a pipeline variable, not {value!r}")
    return value


def _folder(value: Any) -> Any:
    uri = s3_uri(value)
    return uri if is_pipeline_variable(uri) else uri.rstrip("/")


def s3_input(value: Any, suffixes: tuple[str, ...]) -> Any:
    """The URI of an object with such a suffix, or of its folder. Raises ValueError for an object with another."""
    uri = s3_uri(value)
    if not is_pipeline_variable(uri) and not uri.lower().endswith(suffixes) and SUFFIX.search(uri):
        raise ValueError(
            f"{uri} is no {' or '.join(suffixes)}: name the file so, or end the URI with / if it is the folder of one"
        )
    return uri


def _local(value: Any) -> Path:
    """The absolute path that a path or a file:// URI means."""
    if not isinstance(value, (str, Path)) or not str(value):
        raise ValueError(f"give a path, an S3 URI or a pipeline variable, not {value!r}")
    text = str(value)
    return Path(unquote(text[len("file://") :]) if text.startswith("file://") else text).expanduser().resolve()


def _file(path: Path, name: str) -> Path:
    path = path / name if path.is_dir() else path
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


def _model(value: Any) -> Any:
    """An S3 URI, a pipeline variable, or the absolute path of a file that exists."""
    if value is None or is_pipeline_variable(value):
        return value
    if isinstance(value, str) and value.startswith("s3://"):
        return s3_input(value, ARCHIVE_SUFFIXES)
    path = _file(_local(value), "model.tar.gz")
    if not path.name.lower().endswith(ARCHIVE_SUFFIXES):
        raise ValueError(f"{path} is no {' or '.join(ARCHIVE_SUFFIXES)}: pack the model with tar -czf, or name it so")
    return path


def _hyperparameters(value: Any) -> Any:
    """An S3 URI, a pipeline variable, the absolute path of a file that exists, or the document as a dict."""
    if value is None or is_pipeline_variable(value):
        return value
    if isinstance(value, str) and value.startswith("s3://"):
        return s3_input(value, DOCUMENT_SUFFIXES)
    if isinstance(value, (str, Path)):
        return _file(_local(value), "hyperparameters.json")
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError(f"give a pydantic model, a dict, a path or an S3 URI, not {type(value).__name__}")


def _existing(value: Any) -> Path:
    path = _local(value)
    if not path.exists():
        raise ValueError(f"there is no file or folder {path}")
    return path


def _put(value: Any) -> Any:
    """An S3 URI, a pipeline variable, or the absolute path of a file or folder that exists."""
    if is_pipeline_variable(value) or (isinstance(value, str) and value.startswith("s3://")):
        return s3_uri(value)
    return _existing(value)


def _put_folder(value: Any) -> Any:
    """An S3 URI, a pipeline variable, or the absolute path of a folder that exists."""
    if is_pipeline_variable(value) or (isinstance(value, str) and value.startswith("s3://")):
        return s3_input(value, ARCHIVE_SUFFIXES)
    path = _existing(value)
    if not path.is_dir():
        raise ValueError(f"{path} is a file; give it by files")
    return path


def _code(value: Any) -> Any:
    """An S3 URI, a pipeline variable, or the absolute path of a file or folder that exists."""
    if value is None or is_pipeline_variable(value) or (isinstance(value, str) and value.startswith("s3://")):
        return None if value is None else s3_input(value, ARCHIVE_SUFFIXES)
    return _existing(value)


def _all_exist(dependencies: Sequence[str]) -> Sequence[str]:
    for dependency in dependencies:
        _existing(dependency)
    return dependencies


def _each_of(check: Callable[[Any], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda values: {name: check(value) for name, value in values.items()}


def _concrete(value: Any) -> Any:
    if is_pipeline_variable(value):
        raise ValueError("it must be known when the pipeline is built, so it cannot be a pipeline variable")
    return value


def _has_python_3_9(framework_version: str) -> str:
    numbers = re.match(r"(\d+)\.(\d+)-\d+", framework_version)
    if not numbers or (int(numbers[1]), int(numbers[2])) < (1, 2):
        raise ValueError(f"the script needs Python 3.9, which came with 1.2-1, not {framework_version!r}")
    return framework_version


def _in_range(least: int, most: int) -> AfterValidator:
    def check(value: Any) -> Any:
        if is_pipeline_variable(value):
            return value
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"give a whole number from {least} to {most} or a pipeline variable, not {value!r}")
        return value

    return AfterValidator(check)


Text = Annotated[Any, AfterValidator(_text)]
"""A text that SageMaker lets a pipeline variable stand for."""
S3Location = Annotated[Any, AfterValidator(_folder)]
Known = BeforeValidator(_concrete)
StepName = Annotated[str, Known, Field(pattern=r"^[A-Za-z0-9](-*[A-Za-z0-9]){0,63}$")]
HyperparametersRequired = Annotated[Union[bool, Literal["unless_in_model"]], Known]


class StepConfig(BaseModel):
    """A step's settings. Raises pydantic's ValidationError, which names the field and says what it wants."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())

    pipeline_s3_loc: S3Location
    """Where the step keeps its files. If a pipeline variable, only the output goes there, and what is uploaded when the
    pipeline is built goes to the session's default bucket."""
    pretrained_model_path: Annotated[Any, AfterValidator(_model)] = None
    """A local file, an S3 URI or a pipeline variable; None if a dependency gives the model. A folder means the
    model.tar.gz in it."""
    hyperparameters: Annotated[Any, AfterValidator(_hyperparameters)] = None
    """A pydantic model, a dict, a local file, or an S3 URI or pipeline variable that says where they lie; None if a
    dependency gives them, or if there are none."""
    hyperparameters_required: HyperparametersRequired
    """If False, a step without hyperparameters copies the model on, validated and unchanged; with "unless_in_model" it
    does so too, and fails if the model holds none of its own."""
    if_present: Annotated[Literal["replace", "keep", "error"], Known] = "replace"
    """What to do where the model already holds hyperparameters.json, or another file that is put in."""
    step_name: StepName

    where: Annotated[Literal["processing", "lambda", "callback"], Known] = "processing"
    function_arn: Annotated[Optional[str], Known, Field(pattern=FUNCTION_ARN)] = None
    """The deployed function, for where="lambda"."""
    queue_url: Annotated[Optional[str], Known, Field(pattern=r"^https://\S+$")] = None
    """The deployed queue, for where="callback"."""

    processing_instance_type_small: Text = "ml.m5.large"
    processing_instance_type_large: Text = "ml.m5.4xlarge"
    use_large_processing_instance: Annotated[bool, Known] = False
    processing_instance_count: Annotated[Any, _in_range(1, 100)] = 1
    """More than one only does the same work again."""
    processing_volume_size: Annotated[Any, _in_range(1, 16384)] = 30
    """GB; it holds the model twice."""
    processing_framework_version: Annotated[str, Known, AfterValidator(_has_python_3_9)] = "1.2-1"
    """Of SageMaker's scikit-learn image."""
    max_runtime_in_seconds: Annotated[Optional[Any], _in_range(1, 777600)] = None
    """After so long the job is stopped; SageMaker's default is a day."""
    retry_policies: Annotated[Optional[list[Any]], Known] = None
    """The SDK's own: StepRetryPolicy and SageMakerJobStepRetryPolicy."""
    ratio_limit: Annotated[Optional[float], Known, Field(ge=1)] = None
    """How many times its size an archive may unpack to before it is refused as a bomb; 200 unless given. Weights that
    are mostly zeros can have more."""
    image_uri: Optional[Text] = None
    """An image in its place: any with bash, tar and python3 that runs as root."""
    wheels: Annotated[Optional[Path], Known] = None
    """A folder of wheels for the container's Python, shipped with the code; `isal` makes it faster."""
    volume_kms_key: Optional[Text] = None
    output_kms_key: Optional[Text] = None
    """Also for what is uploaded when the pipeline is built, unless it is a pipeline variable."""
    enable_network_isolation: Annotated[bool, Known] = False
    encrypt_inter_container_traffic: Annotated[bool, Known] = False
    subnets: Optional[list[Text]] = None
    security_group_ids: Optional[list[Text]] = None
    tags: Annotated[dict[str, str], Known] = Field(default_factory=dict)
    enable_caching: Annotated[bool, Known] = False
    """SageMaker then runs the step again only if the code, a setting of the job or the URI of an input has changed: it
    does not notice that a model was overwritten at its URI, nor that `outputs` or a key are others."""
    cache_expire_after: Annotated[str, Known, Field(pattern=r"^P\S+$")] = "P30D"
    """ISO 8601 duration."""

    @model_validator(mode="after")
    def _fits_together(self) -> StepConfig:
        for where, name in (("lambda", "function_arn"), ("callback", "queue_url")):
            if self.where == where and getattr(self, name) is None:
                raise ValueError(f'where="{where}" needs {name}')
        if (self.subnets is None) != (self.security_group_ids is None):
            raise ValueError("subnets and security_group_ids are given together or not at all")
        fields = type(self).model_fields
        unused = [n for n in PROCESSING_ONLY if getattr(self, n) != fields[n].get_default(call_default_factory=True)]
        if self.where != "processing" and unused:
            raise ValueError(
                f'where="{self.where}" starts no job, so it cannot heed {", ".join(unused)}; leave them out, '
                "and see to them in the deployment"
            )
        for policy in self.retry_policies or ():
            if not hasattr(policy, "to_request"):
                raise ValueError(f"retry_policies holds {policy!r}, which is none of the SDK's retry policies")
        if self.wheels is not None and not any(self.wheels.glob("*.whl")):
            raise ValueError(f"there are no wheels in {self.wheels}")
        self.hyperparameters_document  # noqa: B018 - so that what cannot be written fails here
        return self

    @cached_property
    def hyperparameters_document(self) -> Optional[bytes]:
        """hyperparameters.json, if the hyperparameters are known here."""
        given = self.hyperparameters
        try:
            if isinstance(given, Path):
                document = given.read_bytes()
                parse(document, str(given))
                return _of_a_size(document)
            if isinstance(given, dict):
                _refuse_variables(given, "hyperparameters")
                return _of_a_size(serialize(given))
        except InvalidHyperparameters as error:
            raise ValueError(str(error)) from error
        return None

    @cached_property
    def effective_instance_type(self) -> Any:
        """The small or the large one."""
        large, small = self.processing_instance_type_large, self.processing_instance_type_small
        return large if self.use_large_processing_instance else small


def _of_a_size(document: bytes) -> bytes:
    if len(document) > HYPERPARAMETERS_LIMIT:
        raise ValueError(
            f"the hyperparameters have {len(document):,} bytes; at most {HYPERPARAMETERS_LIMIT:,} can be put in"
        )
    return document


def _refuse_variables(value: Any, name: str) -> None:
    if is_pipeline_variable(value):
        raise ValueError(f"{name} is a pipeline variable, which has no value yet when hyperparameters.json is written")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_variables(item, f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _refuse_variables(item, f"{name}[{index}]")


class RepackStepConfig(StepConfig):
    """The settings of the general repack step: any edit of a model, which may be known only when the pipeline runs."""

    step_name: StepName = "Repack"
    hyperparameters_required: HyperparametersRequired = False
    code: Annotated[Any, AfterValidator(_code)] = None
    """A local folder, which becomes all of the model's code/; a local file, which goes into it; or the S3 URI of a
    .tar.gz or folder, or a pipeline variable of a .tar.gz, which is laid over it."""
    dependencies: Annotated[Sequence[str], Known, AfterValidator(_all_exist)] = ()
    """Local files and folders, which go into code/lib/; of one with a slash at its end only what is in it."""
    files: Annotated[dict[str, Any], AfterValidator(_each_of(_put))] = Field(default_factory=dict)
    """Entries to add or replace: name in the archive → local file, S3 URI or pipeline variable. A local folder, or an
    S3 URI that ends in a slash, is laid over what is there."""
    folders: Annotated[dict[str, Any], AfterValidator(_each_of(_put_folder))] = Field(default_factory=dict)
    """Folders that afterwards hold exactly what lies there: name → local folder, S3 URI of a folder or .tar.gz, or
    pipeline variable."""
    remove: Annotated[Sequence[str], Known] = ()
    """Patterns of entries to take out, like lines of a .gitignore file."""
    strip_root: Annotated[bool, Known] = False
    """Take away the one folder at the top that holds everything else."""
    entry_point: Annotated[Optional[str], Known] = None
    """The script in code/ that `environment` names."""

    @model_validator(mode="after")
    def _is_an_edit(self) -> RepackStepConfig:
        try:
            Edit(drop=tuple(self.remove))
            for name in (*self.files, *self.folders):
                check_name(name)
        except InvalidRequest as error:
            raise ValueError(str(error)) from error
        if CODE in self.folders and self.code is not None:
            raise ValueError("code/ is given twice, by code and by folders; give it once")
        self._check_entry_point()
        if ENTRY in self.files:
            raise ValueError(f"{ENTRY} is given by files; give it by hyperparameters, which checks it")
        if self.hyperparameters_required == "unless_in_model" and self.if_present == "error":
            raise ValueError(
                'hyperparameters_required="unless_in_model" expects what if_present="error" forbids; '
                "say replace or keep"
            )
        return self

    def _check_entry_point(self) -> None:
        """Raises ValueError if a local folder, which becomes all of code/, lacks the script and nothing may add it."""
        alone = isinstance(self.code, Path) and self.code.is_dir() and not self.dependencies and not self.files
        if alone and self.entry_point is not None and not (self.code / self.entry_point).is_file():
            raise ValueError(f"entry_point is {self.entry_point}, but there is no such file in {self.code}")

    @property
    def environment(self) -> dict[str, str]:
        """What a model's environment has to say, so that it runs the code inside and the SDK repacks nothing.

        Raises ValueError unless it is known which script is run.
        """
        script = self.entry_point
        if script is None and isinstance(self.code, Path) and self.code.is_file():
            script = self.code.name
        if script is None:
            raise ValueError("no script is known to run: set entry_point to the one in code/, such as inference.py")
        return {"SAGEMAKER_PROGRAM": script, "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
