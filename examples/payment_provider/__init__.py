"""A payment provider for trials: it sends signed calls over HTTP, as late, often and disorderly as its options say."""

from examples.payment_provider.provider import Answer, Delivery, Event, NotLoopback, Provider, new_secret

__all__ = ["Answer", "Delivery", "Event", "NotLoopback", "Provider", "new_secret"]
