"""Paths: each is taken as it is written, and none leads elsewhere.

For a path that is nearly a route's (`/seckill//1`, no path at all) Werkzeug redirects to an address that it makes from
the header `Host` and the scheme as this process sees it. Anybody can write the one, and behind a proxy both are wrong.
"""

from flask import Flask, Response, abort, request
from werkzeug.routing import RequestRedirect


def register(app: Flask) -> None:
    """Answer 404 for every path that is not exactly a route's. To be called before `app` has routes."""
    app.url_map.merge_slashes = False
    app.before_request(_refuse_what_is_nearly_a_route)


def relative_redirect(path: str) -> Response:
    """A redirect to `path` of this service, by whatever scheme, host and port the caller knows it."""
    return Response(status=302, headers={"Location": path})


def _refuse_what_is_nearly_a_route() -> None:
    # Before it looks for a route, Werkzeug drops all slashes at the start but one.
    path = request.environ["PATH_INFO"]
    if not path.startswith("/") or path.startswith("//") or isinstance(request.routing_exception, RequestRedirect):
        abort(404)
