"""The SageMaker SDK's `repack_model`, done by the core: nothing is extracted, recompressed or uploaded again.

One call makes the SDK use it wherever it would call its own: `Model(entry_point=…)` and its kind in v2, ModelBuilder
in v3.

    with install():
        model.deploy(...)

It does what theirs does, up to the rows of a table in docs/dummy-training.md.
"""

from __future__ import annotations

import inspect
import math
import os
import posixpath
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Any, Optional, Sequence

from ..contents import contents_of_file, contents_of_folder
from ..core.edit import Content, Edit, Merge
from ..core.errors import SourceNotFound
from ..core.gzip import Limits
from ..core.repack import Job
from ..core.tar import HARD_LINK, Entry, normal
from ..stores import open_source, open_target
from ..stores.s3.access import S3Access, config
from ..stores.s3.place import Place

PLACES = ("sagemaker.utils", "sagemaker.core.common_utils", "sagemaker.serve.model_builder")
"""Modules that hold the name: v2's, v3's, and the one in v3 that took it by import."""
CODE, LIB = "code", "code/lib"
SYMBOLIC_LINK, SPECIAL = b"2", (b"3", b"4", b"6")
UNLIMITED = Limits(uncompressed=1 << 62, ratio=math.inf)
"""The SDK knows no bombs, and whoever calls it could not raise a limit."""


def repack_model(
    inference_script: Optional[str],
    source_directory: Optional[str],
    dependencies: Optional[Sequence[str]],
    model_uri: str,
    repacked_model_uri: str,
    sagemaker_session: Any,
    kms_key: Optional[str] = None,
) -> None:
    """Put code into the model at `model_uri` and write it to `repacked_model_uri`, both S3 URIs or local paths.

    `source_directory`, if local, becomes all of the model's `code/`; if it is a .tar.gz in S3, it is laid over it.
    Without it `inference_script` goes into `code/`, or is there already. Files and folders of `dependencies` go into
    `code/lib/`. Raises FileNotFoundError, FileExistsError and ValueError where the SDK does, and what is wrong with an
    archive or in S3 by the names of `contract`.
    """
    model_uri, repacked_model_uri = _plain(model_uri), _plain(repacked_model_uri)
    in_s3 = any(map(_is_s3, (model_uri, repacked_model_uri, source_directory or "")))
    s3 = _access(sagemaker_session, kms_key) if in_s3 else None
    code = _Code(s3)
    try:
        with closing(open_target(repacked_model_uri, s3)) as target:
            if source_directory:
                code.take_directory(source_directory)
            else:
                code.take_script(os.fspath(inference_script))  # type: ignore[arg-type] # a TypeError says what is wrong
            for dependency in dependencies or ():
                code.take_dependency(dependency)
            with closing(open_source(model_uri, s3)) as source:
                Job(source, target, code.edit, "always", UNLIMITED, visit=code.check).run()
    except SourceNotFound as error:
        raise FileNotFoundError(str(error)) from error


@dataclass
class _Code:
    """What is to lie below `code/`, gathered in the order in which the SDK does it."""

    s3: Optional[S3Access]
    put: dict[str, Content] = field(default_factory=dict)
    replaced: bool = False
    """Whether nothing of the model's own `code/` stays."""
    new_folders: set[str] = field(default_factory=set)
    """Paths that must not be in the model."""

    @property
    def edit(self) -> Edit:
        return Edit(self.put, folders=frozenset([CODE] if self.replaced else []))

    def take_directory(self, directory: str) -> None:
        if _is_s3(directory):
            self._take_folder(_plain(directory), CODE)
            return
        _check_path("_validate_source_directory", directory)
        if not os.path.isdir(directory):
            kind = NotADirectoryError if os.path.exists(directory) else FileNotFoundError
            raise kind(f"source_directory {directory} is no folder; give the one that holds the code")
        self.replaced = True
        self._take_folder(directory, CODE)

    def take_script(self, script: str) -> None:
        if os.path.isfile(script):
            self.put[f"{CODE}/{os.path.basename(script)}"] = contents_of_file(script)
            return
        if os.path.isdir(script):
            raise IsADirectoryError(f"inference_script {script} is a folder; give a file, or source_directory")
        missing = f"there is no {script} here, nor in the model's {CODE}/; give the script's path, or source_directory"

        def held(data: Optional[bytes]) -> bytes:
            if data is None:
                raise FileNotFoundError(missing)
            return data

        inside = normal(f"{CODE}/{script}")
        if os.path.isabs(script) or inside.startswith(".."):
            raise FileNotFoundError(missing)
        self.put[inside] = Merge.by(held)

    def take_dependency(self, dependency: str) -> None:
        _check_path("_validate_dependency_path", dependency)
        place = normal(f"{LIB}/{os.path.basename(dependency)}")  # that of `folder/` is "", by which it is flattened
        if os.path.isfile(dependency):
            if self._is_folder(place):
                raise IsADirectoryError(f"{place} is a folder already, so {dependency} cannot lie there; rename one")
            self.put[place] = contents_of_file(dependency)
        elif os.path.isdir(dependency):
            if place in self.put or self._is_folder(place):
                raise FileExistsError(f"{place} is there already, so {dependency} cannot become it; rename one of them")
            if not self.replaced:
                self.new_folders.add(place)
            self._take_folder(dependency, place)
        else:
            raise FileNotFoundError(f"there is no dependency {dependency}; give the path of a file or folder")

    def check(self, entry: Entry) -> None:
        """Raises what the SDK raises for an entry when it extracts the model."""
        path = entry.path
        if _leaves(path):
            raise ValueError(f"the model's entry {entry.name} lies outside of it; pack the model anew")
        if entry.type == SYMBOLIC_LINK and (
            entry.link.startswith("/")
            or _leaves(posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.link)))
        ):
            raise ValueError(f"the model's link {entry.name} leads out of it, to {entry.link}; pack the file instead")
        if entry.type == HARD_LINK and _leaves(normal(entry.link)):
            raise ValueError(f"the model's link {entry.name} leads out of it, to {entry.link}; pack the file instead")
        if entry.type in SPECIAL:
            raise ValueError(f"the model's entry {entry.name} is a device or pipe; pack the model without it")
        for folder in self.new_folders:
            if path == folder or path.startswith(folder + "/"):
                raise FileExistsError(f"the model holds {folder} already; rename the dependency that would become it")

    def _take_folder(self, folder: str, place: str) -> None:
        inside, _ = contents_of_folder(folder, self.s3, everything=True)
        self.put.update({f"{place}/{path}" if path else place: content for path, content in inside.items()})

    def _is_folder(self, place: str) -> bool:
        return any(path.startswith(place + "/") or (path == place and self.put[path].directory) for path in self.put)


def _leaves(path: str) -> bool:
    return path == ".." or path.startswith("../")


def _is_s3(uri: str) -> bool:
    return uri.lower().startswith("s3://")


def _plain(uri: str) -> str:
    """`S3://…` and `file://…`, as the SDK takes them, the way our stores do."""
    return "s3://" + uri[len("s3://") :] if _is_s3(uri) else uri.replace("file://", "")


def _check_path(name: str, path: str) -> None:
    """The SDK's own check that no secrets of the machine are packed. Raises ValueError."""
    check = getattr(_sdk_modules()[0], name, None)
    if check:
        check(path)


@dataclass(frozen=True)
class _SessionAccess(S3Access):
    """As the SDK asks: the owner is checked of the session's default bucket, which others could have squatted on."""

    session: Any = None

    def on_bucket(self, place: Place) -> dict[str, Any]:
        owner = self._owner(place)
        return {**super().on_bucket(place), **({"ExpectedBucketOwner": owner} if owner else {})}

    def copying(self, place: Place, version_id: Optional[str], etag: Optional[str]) -> dict[str, Any]:
        owner = self._owner(place)
        given = super().copying(place, version_id, etag)
        return {**given, **({"ExpectedSourceBucketOwner": owner} if owner else {})}

    def _owner(self, place: Place) -> Optional[str]:
        of_default_bucket = getattr(self.session, "_get_account_id_if_default_bucket", None)
        return of_default_bucket(place.bucket) if of_default_bucket else None


def _access(session: Any, kms_key: Optional[str]) -> S3Access:
    client = session.boto_session.client("s3", region_name=session.boto_region_name, config=config())
    encrypted = session.settings is None or session.settings.encrypt_repacked_artifacts
    return _SessionAccess(client, sse_kms_key_id=kms_key or None, sse_kms=bool(encrypted), session=session)


def install() -> ExitStack:
    """Make the SDK use `repack_model` above, until the context that this returns is left or closed.

    Raises RuntimeError, and changes nothing, where the installed SDK's function takes other arguments.
    """
    modules = _sdk_modules()
    for module in modules:
        theirs = [*inspect.signature(module.repack_model).parameters]
        if theirs != [*inspect.signature(repack_model).parameters]:
            raise RuntimeError(
                f"{module.__name__}.repack_model of sagemaker {version('sagemaker')} takes {', '.join(theirs)}, "
                "which is not what this stands in for; nothing was changed"
            )
    undo = ExitStack()
    for module in modules:
        undo.callback(setattr, module, "repack_model", module.repack_model)
        module.repack_model = repack_model  # type: ignore[attr-defined]
    return undo


def _sdk_modules() -> list[ModuleType]:
    found = []
    for name in PLACES:
        try:
            module = import_module(name)
        except ModuleNotFoundError:
            continue
        if hasattr(module, "repack_model"):
            found.append(module)
    return found
