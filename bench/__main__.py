"""`python -m bench`: everything, in about ten minutes. `--quick`: whether it still works, in one. See README.md."""

import argparse
import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from bench import cpu, lists, plan, report
from bench.scenarios import ON_REQUEST, QUICK, SCENARIOS
from bench.servers import DATABASES
from bench.stage import Options, Stage
from server.loopback import reach_directly

log = logging.getLogger("bench")

LISTS = "lists"  # measured alone, and on other servers
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Measure and report. Returns 0 where all runs are valid, 1 where one is void."""
    arguments = _arguments()
    reach_directly()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("mysql").setLevel(logging.WARNING)
    # SIGTERM ends it as Ctrl-C does: everything that was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    default = Options()
    options = Options(
        server=arguments.server,
        seconds=arguments.seconds or default.seconds,
        rounds=arguments.rounds or (1 if arguments.quick else default.rounds),
        orders=arguments.orders or (10**5 if arguments.quick else default.orders),
        quick=arguments.quick,
    )
    if arguments.only == [LISTS]:
        return lists.main(options.orders)
    whole_run = [name for name in SCENARIOS if name not in ON_REQUEST]
    names = arguments.only or (list(QUICK) if arguments.quick else whole_run)
    whole = not arguments.only and not arguments.quick
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        stack.callback(_end_children)
        try:
            stage = Stage.set_up(options, directory, stack)
            broken = _play(stage, names)
        except KeyboardInterrupt:
            sys.stderr.write("stopped\n")
            return 130
        void = report.write(stage, RESULTS if whole else RESULTS / "trial")
    return 1 if void or broken else 0


def _play(stage: Stage, names: list[str]) -> bool:
    """Play the scenarios. Returns whether something broke off; what was measured until then is kept."""
    try:
        plan.play(stage, names)
    except Exception:
        log.exception("broken off")
        return True
    return False


def _end_children() -> None:
    """End what was being started when Ctrl-C came, before anybody was there to stop it."""
    for pid in cpu.tree(os.getpid())[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--server", choices=DATABASES, default=Options.server, help="the database, by default MySQL")
    parser.add_argument("--quick", action="store_true", help="one round of a few scenarios")
    parser.add_argument("--only", type=_names, metavar="NAME[,NAME]", help=f"{', '.join(SCENARIOS)}; or {LISTS}")
    parser.add_argument("--seconds", type=_positive, help="of each run, whole ones")
    parser.add_argument("--rounds", type=_positive)
    parser.add_argument("--orders", type=_positive, help="rows in the large table of orders")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(float(text))
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _names(text: str) -> list[str]:
    names = text.split(",")
    if names == [LISTS]:
        return names
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
