"""The package that `pip install` makes: the command `seckill`.

In a wheel the service's own modules lie in `service/` beside this file, under the plain names that they have in a
checkout (`config`, `core`, …). So they get in no other program's way: only this program puts that folder on its path.
An editable installation has no such folder, and runs the checkout that it points to.
"""

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_CHECKOUT = _HERE.parents[2]


def main() -> None:
    """Run the command line."""
    installed = _HERE / "service"
    sys.path.insert(0, str(installed if installed.exists() else _CHECKOUT))
    from cli import program

    program.main()
