"""The commands of `flask`, for operators, and their printing."""
