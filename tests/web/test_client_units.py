"""The client's own tests, on node: as it is written, and as it is served."""

import os
import subprocess
from pathlib import Path

import pytest

from config import ROOT
from web.assets import assets

pytestmark = pytest.mark.node
TESTS = sorted((ROOT / "tests" / "web" / "client").glob("*.test.js"))


@pytest.mark.parametrize("served", [False, True])
def test_the_client_s_own_tests_pass(tmp_path: Path, served: bool) -> None:
    environment = {**os.environ, "SECKILL_SEEDS": "40"}
    if served:
        module = tmp_path / "seckill.mjs"
        module.write_bytes(assets()["client/seckill.js"].body)
        environment["SECKILL_CLIENT"] = module.as_uri()
    done = subprocess.run(
        ["node", "--test", *TESTS], env=environment, capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "# fail 0" in done.stdout
    assert "# tests 0" not in done.stdout
