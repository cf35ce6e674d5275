"""deploy/seckill.service: its numbers agree with the service's, and systemd takes it where there is one."""

import re
import shutil
import subprocess
from math import prod
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


def test_the_document_says_how_long_a_stop_takes() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    formula, with_defaults = re.search(
        r"^> (.*) seconds\n\nwhich is (\d+) with the defaults", page, flags=re.M
    ).groups()
    # Primes, so that no setting stands for another.
    names = ("DRAIN_SECONDS", "PURCHASE_WAIT_SECONDS", "LOCK_WAIT_SECONDS", "DATABASE_TIMEOUT_SECONDS")
    primes = Settings.model_construct(**dict(zip(names, (5, 7, 11, 13), strict=True)))
    for settings, seconds in (primes, None), (Settings.model_construct(), int(with_defaults)):
        sum_of = [part.replace("`", "").split(" × ") for part in formula.split(" + ")]
        worth = sum(prod(int(getattr(settings, word, word)) for word in product) for product in sum_of)
        assert worth == settings.DRAIN_SECONDS + settings.answer_seconds + 2  # as in serve.py
        assert seconds in (None, worth)
    kept = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), flags=re.M)[1]
    assert f"stop_grace_period: {kept}s" in (ROOT / "compose.yaml").read_text()
    pods = re.search(r"terminationGracePeriodSeconds: (\d+)", (ROOT / "deploy/kubernetes/deployment.yaml").read_text())[
        1
    ]
    stated = re.search(r"\(`stop_grace_period`\) (\d+) seconds, the Deployment, .*?, (\d+)$", page, flags=re.M)
    assert stated.groups() == (kept, pods)


def test_it_believes_the_one_proxy_that_stands_in_front() -> None:
    text = UNIT.read_text()
    assert re.search(r"^Environment=SECKILL_PROXIES=1$", text, flags=re.MULTILINE)
    assert "HOST=" not in text  # on loopback alone, which is the default, unless its file of settings says otherwise


def test_journald_drops_no_line_of_a_rush() -> None:
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
