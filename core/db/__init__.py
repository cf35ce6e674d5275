"""The database: connections, transactions, errors, time, and what the server must keep."""
