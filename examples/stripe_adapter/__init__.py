"""A payment provider for the shop: Stripe Checkout, and Stripe's payment events in the shop's terms."""
