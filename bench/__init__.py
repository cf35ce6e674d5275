"""Measures the service against its peers, all on one machine. See README.md beside this file."""
