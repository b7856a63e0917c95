"""The serverless repacker: puts files into a packed model without extracting, recompressing or re-uploading it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .repacker import read_entry, repack

__all__ = ["__version__", "read_entry", "repack"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`from lambda_fn import repack`, without every entry point paying for the import."""
    if name in ("read_entry", "repack"):
        from . import repacker

        return getattr(repacker, name)
    raise AttributeError(name)
