"""Whoever starts a thread for a request goes on where none can be started."""

import ast

from config import ROOT

# Threads of a start: where one of them cannot be had, the process or the command has failed.
AT_START = {
    "core/db/server_proof.py",
    "core/identity/provider.py",
    "core/ops/background_jobs.py",
    "serve.py",
    "server/stop.py",
}
MAKE_THREADS = {"Thread", "Timer", "ThreadPoolExecutor"}
# They start one for a request of theirs, and end that where it cannot be had.
OF_REQUESTS = {"core/events/webhook_call.py", "core/identity/key_source.py"}


def test_threads_are_started_in_one_place() -> None:
    files = [
        ROOT / "serve.py",
        *(file for top in ("core", "resources", "server") for file in (ROOT / top).rglob("*.py")),
    ]
    found = {str(file.relative_to(ROOT)) for file in files if _makes_a_thread(file.read_text())}
    assert found == AT_START | OF_REQUESTS | {"core/threads.py"}


def _makes_a_thread(text: str) -> bool:
    called = (node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    return any(getattr(each, "attr", getattr(each, "id", None)) in MAKE_THREADS for each in called)
