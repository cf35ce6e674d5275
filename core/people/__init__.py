"""A person's data: found, handed over, erased."""
