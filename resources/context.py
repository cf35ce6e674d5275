"""What a request finds around it."""

from flask import current_app

from core.services import Services

EXTENSION = "seckill"


def services() -> Services:
    """The parts of the running sale that the application serves."""
    found: Services = current_app.extensions[EXTENSION]
    return found
