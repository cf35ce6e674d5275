"""Figures of a sale while it runs: counted by each worker, shown within a second, and kept for the report."""
