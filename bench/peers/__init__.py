"""Who the service is measured against: each does the same work, the way its kind is usually built."""
