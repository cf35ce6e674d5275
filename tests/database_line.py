"""The line by which a command says which database it speaks to."""

_BEGIN = "Database: "


def after_database_line(errors: str) -> str:
    """What a command printed on stderr beside it."""
    first, _, rest = errors.partition("\n")
    return rest if first.startswith(_BEGIN) else errors
