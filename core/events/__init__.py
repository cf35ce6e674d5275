"""Events, their order, and the webhooks that get them."""
