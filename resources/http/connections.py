"""Which database connections a request uses: reads never take those that purchases, payments and changes need."""

from flask import Flask, request

from core.db import shares
from core.db.shares import Share

READING = frozenset({"GET", "HEAD", "OPTIONS"})


def register(app: Flask) -> None:
    """Let each request of `app` use the connections that its method says."""
    app.before_request(_begin)
    app.teardown_request(_end)


def _begin() -> None:
    shares.use(Share.READS if request.method in READING else Share.CHANGES)


def _end(error: BaseException | None) -> None:
    shares.use(Share.CHANGES)
