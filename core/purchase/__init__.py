"""The purchase path: line -> slots -> locked rows -> one decision -> one transaction. See docs/locking.md."""
