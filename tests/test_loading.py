"""What is loaded at a start is not gone through by the garbage collector, then or later."""

import subprocess
import sys

import pytest

import config

_STARTS = {
    "a command of flask": "import app",
    "the service": "import serve, app",
    "the program of a package": "from cli import program; import app",
}
_PROGRAM = """
import gc
before = gc.get_stats()[2]["collections"]
{start}
print(gc.isenabled(), gc.get_stats()[2]["collections"] - before, gc.get_freeze_count() > 100_000)
"""


@pytest.mark.parametrize("start", _STARTS)
def test_no_whole_collection_comes_while_the_application_loads_and_none_goes_through_it_later(start: str) -> None:
    command = [sys.executable, "-c", _PROGRAM.format(start=_STARTS[start])]
    output = subprocess.run(command, cwd=config.ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert output == "True 0 True\n"
