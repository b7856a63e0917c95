"""The serverless repacker: puts files into a packed model without extracting, recompressing or re-uploading it."""

__all__ = ["repack"]


def __getattr__(name: str) -> object:
    """`from lambda_fn import repack`, without every entry point paying for the import."""
    if name == "repack":
        from .repacker import repack

        return repack
    raise AttributeError(name)
