"""The service in a process of its own, spoken to over HTTP."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import requests

from config import ROOT, Settings
from core.tokens import Tokens
from harness import forks
from harness.database_server import free_port
from harness.eventually import PATIENCE_SECONDS

SECRET = "the-tests-sign-their-tokens-with-this-key"
START_SECONDS = 60
# Settings for tests: on a busy machine a service, its database or a disk may stand still for seconds, in the middle of
# a transaction too, and no request is to be refused for that.
PATIENT: Mapping[str, object] = {
    "PURCHASE_WAIT_SECONDS": 20,
    "DATABASE_TIMEOUT_SECONDS": 10,
    "IDLE_TRANSACTION_SECONDS": 20,
}
# For a test that holds a row or a transaction itself: nobody gives up waiting for it.
UNHURRIED: Mapping[str, object] = {
    "PURCHASE_WAIT_SECONDS": 60,
    "LOCK_WAIT_SECONDS": 50,
    "DATABASE_TIMEOUT_SECONDS": 60,
    "IDLE_TRANSACTION_SECONDS": 60,
}
# For a test of what the settings of PATIENT bound.
BY_DEFAULT = {name: Settings.model_fields[name].default for name in PATIENT}


def environment(database_uri: str, **settings: object) -> dict[str, str]:
    """The environment of a service on `database_uri`; other settings by their names, without the prefix."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SECKILL_")}
    # One address makes all requests here; who compares or tests limits asks for them.
    given = {"SQLALCHEMY_DATABASE_URI": database_uri, "SECRET_KEY": SECRET, "RATE_LIMITS": "off", **settings}
    return inherited | {f"SECKILL_{name}": str(value) for name, value in given.items()}


def run_command(
    arguments: Sequence[str], env: Mapping[str, str], seconds: float = 60
) -> "subprocess.CompletedProcess[str]":
    """Run a command of `flask` to its end, in the project's folder, and return what it printed."""
    return forks.run(["-m", "flask", *arguments], env, seconds)


def _accepted(send: Callable[[], requests.Response]) -> requests.Response:
    """The answer, sent for again while it is 503: a service with short time-outs may refuse for a moment."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (answer := send()).status_code == 503 and time.monotonic() < end:
        time.sleep(0.1)
    return answer


class Service:
    """A running service: serve.py as its users start it, or, with `fork`, as a fork of a process that has loaded it.

    `without_guard` names the guards that it runs without (harness/without_guard.py).
    """

    def __init__(
        self,
        database_uri: str,
        log: Path,
        workers: int = 1,
        threads: int = 16,
        without_guard: Sequence[str] = (),
        fork: bool = False,
        process_environment: Mapping[str, str] | None = None,
        **settings: object,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self.environment = environment(database_uri, **settings) | {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "WORKERS": str(workers),
            "THREADS": str(threads),
        }
        self.environment |= process_environment or {}
        self._tokens = Tokens(SECRET)
        self._workers = workers
        program = ["-m", "harness.without_guard", *without_guard] if without_guard else [str(ROOT / "serve.py")]
        # Guards are taken away before the application is loaded.
        start = forks.start if fork and not without_guard else forks.start_python
        with log.open("wb") as file:
            self.process: forks.Program = start(program, self.environment, file, file)
        try:
            self.wait_until_ready()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until the service answers that it can serve, with all of its workers."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if requests.get(f"{self.url}/readyz", timeout=2).ok and len(self.worker_pids()) == self._workers:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"the service did not get ready:\n{self.log.read_text()[-3000:]}")

    def token(self, user: str, admin: bool = False) -> str:
        """A token of `user`."""
        return self._tokens.issue(user, admin)

    def headers(self, user: str, admin: bool = False, **more: str) -> Mapping[str, str]:
        """The headers of a request by `user`."""
        return {"Authorization": f"Bearer {self.token(user, admin)}", **more}

    def create_goods(self, **fields: object) -> int:
        """Put an item up, by default a free one with 100 units; returns its id."""
        body = {"name": "item", "currency": "CNY", "price": 100, "stock": 100, **fields}
        headers = self.headers("operator", admin=True)
        # That a refused one may have been put up all the same harms nobody.
        answer = _accepted(lambda: requests.post(f"{self.url}/goods", json=body, headers=headers, timeout=60))
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def create_coupon(self, **fields: object) -> str:
        """Make a coupon, by default of 10 percent without limits; returns its code."""
        body = {"code": "TEN", "kind": "percent", "percent": 10, **fields}
        headers = self.headers("operator", admin=True)
        answer = requests.post(f"{self.url}/coupons", json=body, headers=headers, timeout=60)
        assert answer.status_code == 201, answer.text
        return answer.json()["code"]

    def buy(
        self,
        goods_id: int,
        user: str,
        quantity: int = 1,
        key: str | None = None,
        timeout: float = 60,
        **choices: object,
    ) -> requests.Response:
        """Buy; raises requests.RequestException where no answer came."""
        more = {} if key is None else {"Idempotency-Key": key}
        return requests.post(
            f"{self.url}/seckill/{goods_id}",
            json={"quantity": quantity, **choices},
            headers=self.headers(user, **more),
            timeout=timeout,
        )

    def goods(self, goods_id: int) -> dict:
        answer = _accepted(lambda: requests.get(f"{self.url}/goods/{goods_id}", timeout=60))
        assert answer.ok, answer.text
        return answer.json()

    def worker_pids(self) -> list[int]:
        """The processes that serve now."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children]

    def audit(self) -> subprocess.CompletedProcess[str]:
        """`flask audit` on the service's database."""
        return run_command(["audit", "--json"], self.environment, seconds=120)

    def stop(self, stop_signal: int = signal.SIGINT) -> int:
        """Stop the service and wait for its end; returns its exit code."""
        if self.process.poll() is None:
            for pid in [self.process.pid, *self.worker_pids()]:
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    continue
            self.process.send_signal(stop_signal)
        try:
            return self.process.wait(timeout=90)  # with PATIENT a worker that is stuck is killed before
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
