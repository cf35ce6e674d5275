"""Starts programs of this project as forks of a process that has loaded the application.

To load it takes a second of processor time, and the tests start hundreds of services and commands. A fork is a process
like any other, except for what is decided while Python and the application load, such as the encoding of its output. A
test of these, or one that takes a guard away before the application is loaded, starts Python itself.
"""

import atexit
import contextlib
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO

import config

_MOST_BYTES = 100_000  # of a program's arguments and environment
# What is read while Python or the application is loading, and never again.
_OF_LOADING = ("PYTHON", "LC_", "LANG", "TZ", "LD_", "MALLOC_", "HOME", "XDG_", config.INSTANCE_NAME)


class Fork:
    """A program that runs: the part of subprocess.Popen that the tests use."""

    def __init__(self, args: Sequence[str], status: int) -> None:
        """`status` is read: the process id, and the exit code once the program has ended. Both are lines."""
        self.args = args
        self.returncode: int | None = None
        self._status = os.fdopen(status, "rb", buffering=0)
        self._lock = threading.Lock()
        first = self._line()
        if not first:
            self._status.close()
            raise OSError("the process that has loaded the application has ended")
        self.pid = int(first)

    def poll(self) -> int | None:
        """The exit code, or None while the program runs. A signal that ended it is a negative number."""
        with self._lock:
            if self.returncode is None and self._waits(0):
                self.returncode = int(self._line() or -signal.SIGKILL)
                self._status.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the program's end. Raises subprocess.TimeoutExpired."""
        ends = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = None if ends is None else ends - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            with contextlib.suppress(ValueError):  # another thread has seen the end
                self._waits(left)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the program has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _waits(self, seconds: float | None) -> bool:
        """Wait for the next line. Returns whether it is there."""
        look = select.poll()
        look.register(self._status, select.POLLIN)
        return bool(look.poll(None if seconds is None else seconds * 1000))

    def _line(self) -> bytes:
        return self._status.readline().strip()


# The environment in which the application is loaded, though tests may change that of this process later.
_of_this_process = dict(os.environ)
_connection: socket.socket | None = None
_starting = threading.Lock()


Program = subprocess.Popen[bytes] | Fork


def can_start(env: Mapping[str, str]) -> bool:
    """Whether a fork does what a new process with this environment would: all that loading depends on is as here."""
    return sys.platform == "linux" and _of_loading(env) == _of_loading(_of_this_process)


def _of_loading(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_OF_LOADING)}


def start_python(args: Sequence[str], env: Mapping[str, str], output: IO[bytes], errors: IO[bytes]) -> Program:
    """Run `python *args` in the project's folder."""
    return subprocess.Popen([sys.executable, *args], env=env, cwd=config.ROOT, stdout=output, stderr=errors)


def start(args: Sequence[str], env: Mapping[str, str], output: IO[bytes], errors: IO[bytes]) -> Program:
    """Run a program in the project's folder, as a fork where that is the same (`can_start`), else by `start_python`.

    `args` are its path, or `-m` and its module, and then its arguments. A fork does not search the folder of a program
    that is given by its path for modules.
    """
    if not can_start(env):
        return start_python(args, env, output, errors)
    message = json.dumps({"args": list(args), "env": dict(env)}).encode()
    if len(message) > _MOST_BYTES:
        raise ValueError(f"arguments and environment are longer than {_MOST_BYTES} bytes")
    reads, writes = os.pipe()
    with _starting:
        socket.send_fds(_loaded(), [message], [output.fileno(), errors.fileno(), writes])
    os.close(writes)
    return Fork(args, reads)


def run(args: Sequence[str], env: Mapping[str, str], timeout: float) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end (`start`), and return what it printed. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        program = start(args, env, output, errors)
        try:
            code = program.wait(timeout)
        except BaseException:
            program.kill()
            program.wait()
            raise
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(args, code, *texts)


def _loaded() -> socket.socket:
    """The way to the process that has loaded the application; it is started with the first program."""
    global _connection
    if _connection is None:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(its.fileno())],
            env=_of_this_process,
            cwd=config.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
        )
        its.close()
        atexit.register(process.wait)
        atexit.register(ours.close)  # called first: the process ends with it
        _connection = ours
    return _connection


def _serve(connection: socket.socket) -> None:
    """Start a program for each message, until the other side has gone. Returns in each program, at its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which end their programs
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the processes of `_keep` leave no zombies
    while True:
        message, files, _, _ = socket.recv_fds(connection, _MOST_BYTES, 3)
        if not message:
            os._exit(0)
        if not os.fork():
            connection.close()
            _keep(*files)
            return _become(**json.loads(message))
        for file in files:
            os.close(file)


def _keep(output: int, errors: int, status: int) -> None:
    """Fork the program, and report its process id and its end. Returns in the program."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    program = os.fork()
    if not program:
        os.close(status)
        for number, file in (1, output), (2, errors):
            os.dup2(file, number)
            os.close(file)
        return
    os.write(status, f"{program}\n".encode())
    for file in 1, 2, output, errors:
        os.close(file)
    _, ended = os.waitpid(program, 0)
    os.write(status, f"{os.waitstatus_to_exitcode(ended)}\n".encode())
    os._exit(0)


def _become(args: list[str], env: dict[str, str]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    random.seed()
    first, *rest = args
    if first == "-m":
        sys.argv[:] = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = args
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    import flask.cli  # noqa: F401

    from server import supervisor, worker  # noqa: F401

    _serve(socket.socket(fileno=int(sys.argv[1])))
