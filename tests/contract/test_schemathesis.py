"""Schemathesis over the description against the running service: no 5xx, no answer outside the document."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from examples.payment_provider import new_secret
from harness.service import Service

SEED = 20261123
# Settings under which there is no route that is a 404.
EVERY_ROUTE = {"PAYMENT_PROVIDER": "test", "PAYMENT_WEBHOOK_SECRETS": new_secret()}
# All but two: `positive_data_acceptance` takes every refusal that a schema cannot express (a made-up cursor, a version
# that is not the present one) for an error; `object_level_authorization` needs a second user's token.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
)
# What the test may take on a busy machine: far longer than on a quiet one.
SECONDS = 400
pytestmark = pytest.mark.timeout(SECONDS + 60)


def run(service: Service, directory: Path, phases: str, examples: int) -> subprocess.CompletedProcess[str]:
    for _ in range(3):
        service.create_goods(stock=10**6)
    service.buy(1, "operator")
    return subprocess.run(
        [
            Path(sys.executable).parent / "schemathesis",
            "run",
            f"{service.url}/openapi.json",
            f"--header=Authorization: {service.headers('operator', admin=True)['Authorization']}",
            f"--checks={','.join(CHECKS)}",
            f"--phases={phases}",
            f"--max-examples={examples}",
            f"--seed={SEED}",
            "--mode=all",
            "--continue-on-failure",
            "--generation-database=none",
            "--suppress-health-check=all",
            "--warnings=off",
            "--request-timeout=60",
        ],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    ("phases", "examples"),
    [
        ("examples,fuzzing,stateful", 3),
        pytest.param("examples,coverage,fuzzing,stateful", 15, marks=pytest.mark.long),
    ],
)
def test_no_answer_leaves_the_document_on_sqlite(
    start_service: Callable[..., Service], sqlite_uri: str, tmp_path: Path, phases: str, examples: int
) -> None:
    service = start_service(sqlite_uri, threads=4, **EVERY_ROUTE)
    result = run(service, tmp_path, phases, examples)
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
    paths = requests.get(f"{service.url}/openapi.json", timeout=20).json()["paths"]
    assert f"Tested: {sum(len(methods) for methods in paths.values())}" in result.stdout


@pytest.mark.long
@pytest.mark.parametrize("examples", [5, pytest.param(25, marks=pytest.mark.long)])
def test_no_answer_leaves_the_document_on_a_server(
    start_service: Callable[..., Service], server_uri: str, tmp_path: Path, examples: int
) -> None:
    result = run(start_service(server_uri, threads=4, **EVERY_ROUTE), tmp_path, "examples,fuzzing", examples)
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
