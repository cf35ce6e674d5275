"""`make load`: starts locust on load/locustfile.py, with its web page or headless; with ARRIVALS load/arrivals.py."""

import os
import sys
from pathlib import Path

from load.options import parse
from load.slow_connections import allow_descriptors
from server.loopback import reach_directly

# Seconds that those who are in the middle of something get, to finish it, when the run is over.
_GRACE_SECONDS = 40


def main() -> None:
    reach_directly()
    options = parse(sys.argv[1:], os.environ)
    if options.arrivals:
        from load import arrivals

        sys.exit(arrivals.main(options))
    try:
        import locust  # noqa: F401  # only whether it is there: it is not for this process
    except ImportError:
        sys.exit("error: locust is not installed; `make load` installs it")
    allow_descriptors(options.users + 200)
    mode = (
        ["--headless", "--run-time", f"{options.seconds}s"]
        if options.headless
        else ["--web-host", "127.0.0.1", "--web-port", str(options.web_port)]
    )
    if not options.headless:
        print(f"\nOpen http://127.0.0.1:{options.web_port} and press Start. Ctrl-C ends it.\n", flush=True)
    command = [
        *(sys.executable, "-m", "locust", "--locustfile", str(Path(__file__).with_name("locustfile.py"))),
        *("--users", str(options.users), "--spawn-rate", str(options.spawn), "--host", options.url),
        *("--stop-timeout", str(_GRACE_SECONDS), "--only-summary", "--loglevel", "WARNING"),
        *mode,
    ]
    os.execve(sys.executable, command, {**os.environ, **options.as_environment()})  # noqa: S606  # no shell is meant


if __name__ == "__main__":
    main()
