"""Serve the adapter: `python -m examples.stripe_adapter`, with the settings of its README in the environment."""

import os
import sys

from granian import Granian
from granian.constants import Interfaces

from examples.stripe_adapter.settings import InvalidSettings, load


def main() -> None:
    """One process: one thread gives money back, and one file remembers the pages."""
    try:
        load()
    except InvalidSettings as error:
        sys.exit(f"error: {error}")
    Granian(
        "examples.stripe_adapter.app:create_app",
        factory=True,
        interface=Interfaces.WSGI,
        address=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "8100")),
        workers=1,
        blocking_threads=16,
    ).serve()


if __name__ == "__main__":
    main()
