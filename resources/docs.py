"""`/openapi.json` and `/docs`: the description, and a page to read and try it on that needs nothing from elsewhere."""

from functools import cache

from flask import Flask, Response, make_response, render_template_string
from flask_swagger_ui import get_swaggerui_blueprint

from core.json_text import to_json_bytes
from web import security

_BASE = "/docs"
# Swagger UI's own page has an inline script, which the policy of our pages forbids.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Flash sale API</title>
<link rel="icon" href="{{ asset_url('storefront/icon.svg') }}" type="image/svg+xml">
<link rel="stylesheet" href="{{ base }}/index.css">
<link rel="stylesheet" href="{{ base }}/swagger-ui.css">
<script defer src="{{ base }}/swagger-ui-bundle.js"></script>
<script type="module" src="{{ asset_url('docs.js') }}"></script>
</head>
<body><div id="swagger-ui"></div></body>
</html>
"""


def register(app: Flask) -> None:
    """Serve the description of `app`. It is made at the first request for it."""

    @cache
    def described() -> bytes:
        from resources.http import openapi  # late: a worker that nobody asks need not load what it takes

        return to_json_bytes(openapi.document(app))

    def show() -> Response:
        headers = {"Cache-Control": "public, max-age=60"}
        return Response(described(), mimetype="application/json", headers=headers)

    app.add_url_rule("/openapi.json", view_func=show, endpoint="openapi")
    app.register_blueprint(get_swaggerui_blueprint(_BASE, "/openapi.json"))
    file_of_swagger_ui = app.view_functions["swagger_ui.show"]

    def page_or_file(path: str = "") -> Response:
        if path in ("", "index.html"):
            return security.page(render_template_string(_PAGE, base=_BASE), cache="no-store")
        response = make_response(file_of_swagger_ui(path=path))
        response.headers.update(security.HEADERS)  # one of the files is a page
        return response

    app.view_functions["swagger_ui.show"] = page_or_file
    # Without the slash too, which is how the contract names the page.
    app.add_url_rule(_BASE, view_func=page_or_file, endpoint="docs")
