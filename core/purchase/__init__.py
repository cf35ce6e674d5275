"""The purchase path: turns -> slots -> locked rows -> one decision -> one transaction. See docs/locking.md."""
