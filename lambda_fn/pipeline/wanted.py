"""What the general step puts into a model, gathered when it is built: what is local is packed, the rest goes by URI.

It becomes the `files` and `folders` of a Request, where a name that ends in a slash has a folder or a .tar.gz laid over
what is there.
"""

from __future__ import annotations

import gzip
import io
import os
import posixpath
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Union

from ..contents import UNPACKED_LIMIT, contents_of_file, contents_of_folder
from ..core.edit import Content
from ..core.errors import RepackError
from .config_repack_step import CODE, RepackStepConfig
from .places import ARCHIVE_SUFFIXES, input_of

ROOT = "./"
Given = Union[bytes, Any]
"""A .tar.gz, or an S3 URI or pipeline variable."""


@dataclass(frozen=True)
class Wanted:
    """Of a Request: name → where it comes from."""

    files: dict[str, Given] = field(default_factory=dict)
    folders: dict[str, Given] = field(default_factory=dict)


def wanted(config: RepackStepConfig) -> Wanted:
    """What the config asks for. Raises ValueError for what cannot be packed, and where an entry is given twice."""
    found, over = Wanted(), dict[str, Content]()
    all_of_it = isinstance(config.code, Path) and config.code.is_dir()
    try:
        if isinstance(config.code, Path) and not all_of_it:
            _add(over, _below(f"{CODE}/{config.code.name}", config.code), config.code)
        elif config.code is not None and not all_of_it:
            found.files[f"{CODE}/"] = input_of(config.code, ARCHIVE_SUFFIXES)
        for dependency in config.dependencies:
            _add(over, _dependency(dependency), dependency)
        for name, given in config.files.items():
            if isinstance(given, Path):
                _add(over, _below(name, given), given)
            else:
                found.files[name] = given
        folders = {CODE: config.code, **config.folders} if all_of_it else config.folders
        _add(_replaced(folders, found), over, "files or dependencies")
    except RepackError as error:
        raise ValueError(str(error)) from error
    if over:
        found.files[ROOT] = packed(over)
    return found


def _replaced(folders: Mapping[str, Any], found: Wanted) -> dict[str, Content]:
    """Note the folders to replace; what is in those that are known now."""
    inside = dict[str, Content]()
    for name, given in folders.items():
        if isinstance(given, Path):
            found.folders[name] = packed(_folder(given))
            _add(inside, _below(name, given), given)
        else:
            found.folders[name] = input_of(given, ARCHIVE_SUFFIXES)
    return inside


def packed(contents: Mapping[str, Content]) -> bytes:
    """A .tar.gz of them, the same for the same names, bytes and modes. Raises ValueError if they are too large."""
    size = sum(content.size for content in contents.values())
    if size > UNPACKED_LIMIT:
        raise ValueError(
            f"what is to be put in has {size:,} bytes, and at most {UNPACKED_LIMIT >> 20} MiB are packed when a step "
            "is built: put the large files into S3, and give their URIs by files or folders"
        )
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", filename="", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for name, content in sorted(contents.items()):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE if content.directory else tarfile.REGTYPE
            entry.mode = content.mode or (0o755 if content.directory else 0o644)
            entry.size = content.size
            tar.addfile(entry, io.BytesIO(b"".join(content.open())))
    return buffer.getvalue()


def _folder(path: Path) -> dict[str, Content]:
    """What is in a folder; "." stands for one that holds nothing."""
    contents, _ = contents_of_folder(str(path))
    return {name or ".": content for name, content in contents.items()}


def _dependency(path: str) -> dict[str, Content]:
    """What the SDK makes of a dependency: `code/lib/` and its name, of a folder with a slash at its end no name."""
    place = posixpath.normpath(f"{CODE}/lib/{os.path.basename(path)}")
    return _below(place, Path(path))


def _below(place: str, path: Path) -> dict[str, Content]:
    """A file as the place itself, or what is in a folder below it."""
    if path.is_file():
        return {place: contents_of_file(str(path))}
    return {posixpath.normpath(f"{place}/{name}"): content for name, content in _folder(path).items()}


def _add(over: dict[str, Content], more: Mapping[str, Content], given: object) -> None:
    for name in more:
        if name in over:
            raise ValueError(f"{name} is given twice, the second time by {given}; rename one of the two")
    over.update(more)
