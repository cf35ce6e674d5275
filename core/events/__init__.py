"""Events, their numbering, and their delivery to webhooks."""
