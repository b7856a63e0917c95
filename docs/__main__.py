"""Every page and picture that is made and not written: `make docs`, which is `python -m docs`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from docs import api, bits, cost, errors, pictures, settings
from infra import app
from infra.settings import Settings

HERE = Path(__file__).parent
TEMPLATE = app.OUT / f"{Settings().name}.template.json"


def generated(template: dict[str, Any]) -> dict[str, str]:
    """File name → what belongs in it, for a synthesized template."""
    return {
        "api.md": api.page(),
        "architecture.svg": pictures.architecture(template),
        "cost.md": cost.page(template),
        "deploy.md": settings.page((HERE / "deploy.md").read_text()),
        "errors.md": errors.page(),
        "graft.svg": bits.graft(),
        "machine.svg": pictures.machine(template),
        "splice.svg": bits.splice(),
    }


def main() -> int:
    """Synthesize and write; the exit status."""
    status = app.main()
    if status == 0:
        for name, content in generated(json.loads(TEMPLATE.read_text())).items():
            (HERE / name).write_text(content)
            print(f"docs/{name}")
    return status


if __name__ == "__main__":
    sys.exit(main())
