"""The purchase path: cache -> queue -> batch -> slots -> locked rows -> decision -> COMMIT. See docs/locking.md."""
