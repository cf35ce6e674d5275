"""The list of coupons has an index for each of its filters, in each of its orders."""

from itertools import product

from migrations.steps import create_index_if_missing, drop_index_if_exists, replace_index

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_FILTERS = {"active": ["active"], "kind": ["kind"], "kind_active": ["kind", "active"]}
_ORDERS = {"code": ["code"], "created": ["created_at", "code"]}


def upgrade() -> None:
    # Coupons of one moment are in the order of their codes: SQLite does not add the key to an index, as InnoDB does.
    replace_index("coupons_created", "coupons", ["created_at", "code"])
    for (by, filters), (order, columns) in product(_FILTERS.items(), _ORDERS.items()):
        create_index_if_missing(f"coupons_{by}_{order}", "coupons", [*filters, *columns])


def downgrade() -> None:
    for by, order in product(_FILTERS, _ORDERS):
        drop_index_if_exists(f"coupons_{by}_{order}", "coupons")
    replace_index("coupons_created", "coupons", ["created_at"])
