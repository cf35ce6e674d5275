"""What a request finds around it."""

from flask import current_app

from core.shop import Shop

EXTENSION = "seckill"


def shop() -> Shop:
    """The shop that the application serves."""
    found: Shop = current_app.extensions[EXTENSION]
    return found
