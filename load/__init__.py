"""Buyers for a service on this host: people who watch and buy, buyers all at once, and clients that dawdle."""
