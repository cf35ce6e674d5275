"""compose.yaml and deploy/kubernetes/: their schemas take them, and they agree with the image and the service."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from config import DRIVERS, PLACES, PREFIX, ROOT, Settings
from harness.nginx import CONFIG

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
MANIFESTS = [
    manifest
    for path in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
    for manifest in yaml.safe_load_all(path.read_text())
]
PODS = [each["spec"]["template"]["spec"] for each in MANIFESTS if "template" in each["spec"]]
KUBERNETES = "1.33"  # an older one that is still looked after
USER = int(re.search(r"^USER (\d+)$", DOCKERFILE, flags=re.MULTILINE)[1])
_LONGEST = Settings.model_construct().answer_seconds + 2  # seconds, as in serve.py


def _composed(text: str, folder: Path) -> int:
    path = folder / "compose.yaml"
    path.write_text(text)
    program = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", path]
    return subprocess.run(program, capture_output=True, timeout=60, check=False).returncode


def test_the_schema_of_compose_takes_the_file_and_refuses_a_misspelt_one(tmp_path: Path) -> None:
    text = (ROOT / "compose.yaml").read_text()
    assert _composed(text, tmp_path) == 0
    assert _composed(text.replace("stop_grace_period", "stop_grace_periods"), tmp_path) == 1


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_the_schemas_of_kubernetes_take_every_manifest(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest | {"spce": {}}, KUBERNETES, strict=True)


def test_what_belongs_together_is_there() -> None:
    kinds = {each["kind"] for each in MANIFESTS}
    assert kinds == {"Deployment", "Job", "Service", "PodDisruptionBudget", "NetworkPolicy"}


def _given() -> Iterator[str]:
    for pod in PODS:
        for container in pod["containers"]:
            yield from (entry["name"] for entry in container["env"])
    yield from COMPOSE["services"]["service"]["environment"]
    yield from COMPOSE["services"]["service"]["secrets"]
    yield from re.findall(r"^(?:ENV|   ) (SECKILL_\w+)=", DOCKERFILE, flags=re.MULTILINE)


def test_they_set_what_is_a_setting() -> None:
    ours = {name for name in _given() if name.startswith(PREFIX)}
    assert len(ours) >= 5
    assert ours - PLACES <= {PREFIX + name for name in Settings.model_fields}


def test_nothing_runs_as_root_or_can_write_its_root() -> None:
    for pod in PODS:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == USER
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    service = COMPOSE["services"]["service"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "ports" not in service  # nginx alone reaches it


def test_a_stop_leaves_the_time_that_draining_takes() -> None:
    (pod,) = [pod for pod in PODS if pod["containers"][0].get("ports")]
    settings = {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
    assert pod["terminationGracePeriodSeconds"] > float(settings["SECKILL_DRAIN_SECONDS"]) + _LONGEST
    grace = int(COMPOSE["services"]["service"]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings.model_construct().DRAIN_SECONDS + _LONGEST


def test_the_probes_ask_what_they_are_for() -> None:
    (container,) = [pod["containers"][0] for pod in PODS if pod["containers"][0].get("ports")]
    paths = {probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz"}
    assert "seckill.healthcheck" in DOCKERFILE


def test_composes_nginx_changes_nothing_of_nginx_conf_but_the_upstream() -> None:
    shell = COMPOSE["services"]["nginx"]["command"][-1]
    (expression,) = re.findall(r"sed '(s/.*?/)'", shell)
    changed = subprocess.run(["sed", expression, CONFIG], capture_output=True, text=True, check=True).stdout
    ours, theirs = CONFIG.read_text().splitlines(), changed.splitlines()
    assert [line.strip() for line, other in zip(theirs, ours, strict=True) if line != other] == ["server service:8000;"]


def test_secrets_are_made_once_for_the_containers_and_nobody_else_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    script = tmp_path / "deploy" / "make_secrets"
    script.write_bytes((ROOT / "deploy" / "make_secrets").read_bytes())
    secrets = tmp_path / "secrets"
    subprocess.run(["sh", script], check=True)
    first = {path.name: path.read_text().strip() for path in secrets.iterdir()}
    subprocess.run(["sh", script], check=True)
    assert {path.name: path.read_text().strip() for path in secrets.iterdir()} == first
    assert stat.S_IMODE(os.stat(secrets).st_mode) == 0o700
    assert set(first) == {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert len(first["SECKILL_SECRET_KEY"]) >= 32
    uri = first["SECKILL_SQLALCHEMY_DATABASE_URI"]
    assert uri.startswith(DRIVERS[1])
    assert f":{first['mysql_password']}@database:3306/shop" in uri
    assert Settings(SQLALCHEMY_DATABASE_URI=uri).database_url.password == first["mysql_password"]
