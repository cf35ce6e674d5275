"""The client's types of the API, made from the description of an application that offers every route.

python -m harness.client_types      writes web/client/api.d.ts anew (`make client-types`)
"""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import config
from app import create_app
from config import ROOT
from examples.payment_provider import new_secret
from harness.service import SECRET

CLIENT = ROOT / "web" / "client"
TYPES = CLIENT / "api.d.ts"
PROGRAMS = CLIENT / "node_modules" / ".bin"


def description() -> dict[str, Any]:
    """Today's description of the API, with every route."""
    with tempfile.TemporaryDirectory() as folder:
        settings = config.load(
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder}/none.db",
            SECRET_KEY=SECRET,
            PAYMENT_PROVIDER="test",
            PAYMENT_WEBHOOK_SECRETS=(new_secret(),),
        )
        described: dict[str, Any] = create_app(settings).test_client().get("/openapi.json").json
        return described


def make_types(into: Path) -> None:
    """Write the types of today's API into a file."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "openapi.json"
        # The order of the description's parts may differ from process to process.
        source.write_text(json.dumps(description(), ensure_ascii=False, sort_keys=True))
        program = [PROGRAMS / "openapi-typescript", source, "--output", into]
        subprocess.run(program, check=True, capture_output=True, timeout=120)


if __name__ == "__main__":
    make_types(TYPES)
