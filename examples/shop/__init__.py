"""A shop of another origin: its page embeds <flash-sale>, its sign-in makes tokens for the service."""

from examples.shop.shop import Shop

__all__ = ["Shop"]
