"""A payment provider for the shop: Stripe Checkout, and what Stripe tells of its payments, in the shop's terms."""
