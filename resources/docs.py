"""`/openapi.json` and `/docs`: the description, and a page to read and try it on that needs nothing from elsewhere."""

from functools import cache

from flask import Flask, Response
from flask_swagger_ui import get_swaggerui_blueprint

from resources.reply import to_json


def register(app: Flask) -> None:
    """Serve the description of `app`. It is made when first asked for."""

    @cache
    def described() -> bytes:
        from resources import openapi  # late: a worker that nobody asks need not load what it takes

        return to_json(openapi.document(app)).encode()

    def show() -> Response:
        headers = {"Cache-Control": "public, max-age=60"}
        return Response(described(), mimetype="application/json", headers=headers)

    app.add_url_rule("/openapi.json", view_func=show, endpoint="openapi")
    # The last is not used, but would be made from the header `Host`, which anybody can write.
    shown = {"app_name": "Flash sale API", "validatorUrl": None, "oauth2RedirectUrl": "/docs/oauth2-redirect.html"}
    pages = get_swaggerui_blueprint("/docs", "/openapi.json", config=shown)
    app.register_blueprint(pages)
    # Without the slash too, which is how the contract names the page.
    app.add_url_rule("/docs", view_func=app.view_functions["swagger_ui.show"], endpoint="docs")
