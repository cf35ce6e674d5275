"""What a request finds around it in Flask."""

import flask
from flask import Flask, current_app

from core.services import Services
from resources.http.api_request import ApiRequest

EXTENSION = "seckill"


def register(app: Flask) -> None:
    """Note each request's route, for its log line."""
    app.before_request(_note_route)


def services() -> Services:
    """The parts of the running sale that the application serves."""
    found: Services = current_app.extensions[EXTENSION]
    return found


def _note_route() -> None:
    rule = flask.request.url_rule
    ApiRequest.of(flask.request.environ).route = rule.rule if rule else "none"
