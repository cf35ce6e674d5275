"""A container's health check: exits with 0 if the service on this host answers `/healthz`, else with 1.

It loads nothing but the standard library, since it runs every few seconds beside a sale.
"""

import os
import sys
import urllib.request

SECONDS = 3


def url() -> str:
    """The address to request, of the HOST and PORT that the service was given."""
    host = os.environ.get("HOST") or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{os.environ.get('PORT') or 8000}/healthz"


def main() -> None:
    """Send one request."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy could not reach this host
    try:
        with opener.open(url(), timeout=SECONDS):  # an answer of 400 and above raises
            return
    except (OSError, ValueError) as error:
        sys.exit(f"unhealthy: {error}")


if __name__ == "__main__":
    main()
