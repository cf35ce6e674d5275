"""What the adapter for Stripe keeps of the pages that it has asked for."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import stripe

from examples.stripe_adapter.checkouts import Checkouts
from harness.stripe_api import stripe_api


def test_the_number_of_an_attempt_outlives_pruning(tmp_path: Path) -> None:
    ends = datetime.now(timezone.utc) + timedelta(hours=1)
    order = {"order_no": "a" * 32, "currency": "CNY", "total": 19900, "goods_name": "Keyboard", "quantity": 1}
    order["expires_at"] = ends.isoformat()
    with stripe_api() as api:
        client = stripe.StripeClient(api.key, base_addresses={"api": api.url})
        checkouts = Checkouts(client, str(tmp_path / "state.db"), "https://shop.example")
        assert checkouts.page(order) is not None
        (session_id,) = api.sessions
        checkouts.again(session_id)
        checkouts.prune()
        assert checkouts.page(order) is not None
        assert len({key for _, _, _, key in api.requests}) == 2
