"""What follows the step in users' pipelines, as they write it with the SDK.

A packaging step that extracts, adds code/ and packs anew, and a payload step that looks the hyperparameters up by their
exact name.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from lambda_fn.pipeline import sdk

ROLE = "arn:aws:iam::123456789012:role/pipeline"

PACKAGING = """
import pathlib, tarfile, tempfile
work = pathlib.Path(tempfile.mkdtemp())
with tarfile.open("/opt/ml/processing/input/model/model.tar.gz", "r:*") as tar:
    tar.extractall(work)
(work / "code").mkdir(exist_ok=True)
(work / "code" / "serve.py").write_text("pass")
with tarfile.open("/opt/ml/processing/output/packaged/model.tar.gz", "w:gz") as tar:
    for path in work.rglob("*"):
        if path.is_file():
            tar.add(path, arcname=str(path.relative_to(work)))
"""

PAYLOAD = """
import json, tarfile
with tarfile.open("/opt/ml/processing/input/model/model.tar.gz", "r:gz") as tar:
    found = next((member for member in tar if member.name == "hyperparameters.json"), None)
    if found is None:
        raise SystemExit("hyperparameters.json is not in the archive")
    hyperparameters = json.load(tar.extractfile(found))
samples = [{"depth": hyperparameters["depth"], "sample": number} for number in range(3)]
with open("/opt/ml/processing/output/payload/samples.json", "w") as file:
    json.dump(samples, file)
"""


def following(session: Any, folder: Path, name: str, script: str, model: Any) -> Any:
    """A processing step that runs a script on a model and puts what it makes into the session's bucket."""
    path = folder / f"{name}.py"
    path.write_text(script)
    module = import_module("sagemaker.core.processing" if sdk.V3 else "sagemaker.processing")
    processor = module.ScriptProcessor(
        image_uri="image",
        command=["python3"],
        role=ROLE,
        instance_type="ml.m5.large",
        instance_count=1,
        base_job_name=name,
        sagemaker_session=session,
    )
    arguments = processor.run(
        code=str(path),
        inputs=[sdk.processing_input("model", model, "/opt/ml/processing/input/model")],
        outputs=[
            sdk.processing_output(name, f"/opt/ml/processing/output/{name}", f"s3://{session.default_bucket()}/{name}")
        ],
    )
    return sdk.processing_step(arguments, name=name)
