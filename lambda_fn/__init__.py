"""The serverless repacker: puts files into a packed model without extracting, recompressing or re-uploading it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .repacker import repack

__version__ = "0.2.0"
"""What CHANGELOG.md says of it; the distribution, the command line and the deployed stack take it from here."""

__all__ = ["repack"]


def __getattr__(name: str) -> object:
    """`from lambda_fn import repack`, without every entry point paying for the import."""
    if name == "repack":
        from .repacker import repack

        return repack
    raise AttributeError(name)
