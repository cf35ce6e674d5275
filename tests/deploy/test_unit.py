"""deploy/seckill.service: its numbers agree with the service's, and systemd takes it where there is one."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from config import ROOT, Settings

UNIT = ROOT / "deploy" / "seckill.service"


def test_stopping_leaves_the_service_the_time_that_it_takes() -> None:
    text = UNIT.read_text()
    default = Settings.model_construct()
    answering = default.answer_seconds + 2  # as in serve.py
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", text, flags=re.MULTILINE)[1]) > default.DRAIN_SECONDS + answering
    assert "\nKillMode=mixed\n" in text
    assert "KillSignal" not in text  # SIGTERM: the one that drains


def test_it_believes_the_one_proxy_that_stands_in_front() -> None:
    text = UNIT.read_text()
    assert re.search(r"^Environment=SECKILL_PROXIES=1$", text, flags=re.MULTILINE)
    assert "HOST=" not in text  # on loopback alone, which is the default, unless its file of settings says otherwise


def test_journald_drops_no_line_of_a_crowd() -> None:
    assert "\nLogRateLimitIntervalSec=0\n" in UNIT.read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_knows_every_line(tmp_path: Path) -> None:
    # The program and the settings of the real place are not here.
    there = re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text()).replace("/etc/seckill.env", "-/nowhere")
    unit = tmp_path / UNIT.name
    unit.write_text(there)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60, check=False
    )
    assert [line for line in (checked.stdout + checked.stderr).splitlines() if unit.name in line] == []
