"""The report of a sale: what became of it, from the stored orders and from what the workers counted."""
