"""What `flask doctor` says of traces."""

import socket
from pathlib import Path

import config
from core.ops import doctor_traces
from core.ops.finding import Finding, State
from harness.database_server import free_port
from harness.service import SECRET


def found(**settings: str) -> Finding:
    return doctor_traces.examine(config.load(SECRET_KEY=SECRET, **settings))


def test_they_are_off() -> None:
    assert found() == Finding("traces", State.OK, "off")


def test_a_collector_that_listens_and_one_that_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces"
        assert found(TRACES="sampled:9", TRACES_TO=address) == Finding("traces", State.OK, f"sampled:9, to {address}")
    away = found(TRACES="all", TRACES_TO=f"http://127.0.0.1:{free_port()}/v1/traces")
    assert away.state is State.WARNING
    assert "cannot be reached (ConnectionRefusedError)" in away.found
    assert "TRACES_TO" in away.mend


def test_a_file_that_can_be_written_and_one_that_cannot(tmp_path: Path) -> None:
    assert found(TRACES="all", TRACES_TO=str(tmp_path / "spans.jsonl")).state is State.OK
    nowhere = found(TRACES="all", TRACES_TO=str(tmp_path / "no such folder" / "spans.jsonl"))
    assert (nowhere.state, "cannot be written" in nowhere.found) == (State.WARNING, True)
    assert found(TRACES="all", TRACES_TO=str(tmp_path)).state is State.WARNING


def test_a_host_that_has_no_name() -> None:
    assert "cannot be reached" in found(TRACES="all", TRACES_TO="http://a..b/v1/traces").found
