"""Steps of migrations that can be run again: each is skipped where it was done before.

MySQL commits every change of a table by itself, so a migration that is interrupted leaves its first steps done. The
next start runs the whole migration once more. Rules for a new migration:

- Change tables only by these functions. Each is one statement, which the server does as a whole or not at all.
- A step must not depend on rows or columns that a later step of the same migration removes.
- Write data steps (`op.execute`) so that a second run changes nothing: say in WHERE what is still to be done.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError

from core.db.schema import WrongSchema
from models import MYSQL_TABLE

# What is to be made is there, or what is to go is gone: another host has done the step in between.
_DONE_BY_ANOTHER = frozenset({1050, 1051, 1060, 1061, 1091, 1826, 3821, 3822})


def create_table_if_missing(name: str, *items: sa.schema.SchemaItem, **options: Any) -> None:
    """Create a table with its constraints. Make its indexes with `create_index_if_missing`.

    Raises WrongSchema where a table of this name is there that lacks a column: another program's.
    """
    columns = {item.name for item in items if isinstance(item, sa.Column)}
    options |= MYSQL_TABLE

    def there() -> bool:
        if not _inspect().has_table(name):
            return False
        missing = columns - _columns(name)
        if missing:
            raise WrongSchema(
                f"the database has a table {name} of somebody else, without {', '.join(sorted(missing))}; use an empty one"
            )
        return True

    unless(there, lambda: op.create_table(name, *items, **options))


def drop_table_if_exists(name: str) -> None:
    unless(lambda: not _inspect().has_table(name), lambda: op.drop_table(name))


def add_column_if_missing(table: str, column: sa.Column[Any]) -> None:
    """Add a column. One that may not be NULL needs a server default, which the rows that are there get."""
    unless(lambda: column.name in _columns(table), lambda: op.add_column(table, column))


def drop_column_if_exists(table: str, column: str) -> None:
    """Drop a column that neither an index nor a CHECK names (SQLite refuses that)."""
    unless(lambda: column not in _columns(table), lambda: op.drop_column(table, column))


def create_index_if_missing(name: str, table: str, columns: list[str], unique: bool = False) -> None:
    unless(lambda: name in _indexes(table), lambda: op.create_index(name, table, columns, unique=unique))


def drop_index_if_exists(name: str, table: str) -> None:
    unless(lambda: name not in _indexes(table), lambda: op.drop_index(name, table))


def replace_index(name: str, table: str, columns: list[str]) -> None:
    """Give the index `name`, which need not be there yet, these columns. On a server, no statement is without it."""
    if op.get_bind().dialect.name == "sqlite":
        if _indexes(table).get(name, columns) != columns:
            op.drop_index(name, table)
        create_index_if_missing(name, table, columns)
        return

    def replace() -> None:
        drop = f"DROP INDEX {name}, " if name in _indexes(table) else ""
        op.execute(sa.text(f"ALTER TABLE {table} {drop}ADD INDEX {name} ({', '.join(columns)})"))

    unless(lambda: _indexes(table).get(name) == columns, replace)


def replace_check(table: str, name: str, condition: str) -> None:
    """Give the CHECK `name` the condition `condition`; it need not be there yet.

    The old one is replaced in one statement, so the rows are never unchecked. A second run does the same again.
    """
    if op.get_bind().dialect.name == "sqlite":
        _replace_check_on_sqlite(table, name, condition)
        return
    there = name in {each["name"] for each in _inspect().get_check_constraints(table)}
    drop = f"DROP CONSTRAINT {name}, " if there else ""
    op.execute(sa.text(f"ALTER TABLE {table} {drop}ADD CONSTRAINT {name} CHECK ({_plain(condition)})"))


def change_column(table: str, column: sa.Column[Any]) -> None:
    """Give a column the type, the nullability and the server default of `column`. A second run does the same again."""
    dialect = op.get_bind().dialect
    definition = str(dialect.ddl_compiler(dialect, None).get_column_specification(column))  # type: ignore[arg-type]
    if dialect.name == "sqlite":
        _rewrite_sqlite(table, lambda item: item.split()[0].strip('"') == column.name, definition)
    else:
        op.execute(sa.text(f"ALTER TABLE {table} MODIFY COLUMN {_plain(definition)}"))


def _plain(sql: str) -> str:
    return sql.replace(":", "\\:")  # sa.text would take it for a parameter


def unless(done: Callable[[], bool], step: Callable[[], object]) -> None:
    if done():
        return
    try:
        step()
    except DBAPIError as error:
        if getattr(error.orig, "errno", None) not in _DONE_BY_ANOTHER or not done():
            raise


def _inspect() -> sa.Inspector:
    return sa.inspect(op.get_bind())  # a new one each time: it remembers what it saw


def _columns(table: str) -> set[str]:
    return {str(column["name"]) for column in _inspect().get_columns(table)}


def _indexes(table: str) -> dict[str | None, list[str | None]]:
    return {index["name"]: index["column_names"] for index in _inspect().get_indexes(table)}


def _replace_check_on_sqlite(table: str, name: str, condition: str) -> None:
    rows = op.get_bind().exec_driver_sql(f"SELECT 1 FROM {table} WHERE NOT ({condition}) LIMIT 1").first()
    if rows is not None:
        raise WrongSchema(f"a row of the table {table} does not meet {name}")
    _rewrite_sqlite(
        table, lambda item: item.startswith(f"CONSTRAINT {name} "), f"CONSTRAINT {name} CHECK ({condition})"
    )


def _rewrite_sqlite(table: str, is_it: Callable[[str], bool], definition: str) -> None:
    # SQLite has no statement for this. Its documentation (lang_altertable, "Making Other Kinds Of Table Schema Changes")
    # gives this way for changes that leave the rows as they are; copying the table would lose what Alembic does not read.
    connection = op.get_bind()
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    old: str = connection.exec_driver_sql(query, (table,)).scalar_one()
    head, items, tail = _split(old)
    found = [number for number, item in enumerate(items) if is_it(item.strip())]
    if found:
        items[found[0]] = f"\n\t{definition}"
    else:
        items.append(f"\n\t{definition}")
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", (f"{head}({','.join(items)}{tail}", table)
    )
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")


def _split(sql: str) -> tuple[str, list[str], str]:
    """The text of a CREATE TABLE before its first parenthesis, what stands between its commas, and the rest."""
    start = sql.index("(")
    items: list[str] = []
    depth, quote, begun = 0, "", start + 1
    for place in range(start, len(sql)):
        letter = sql[place]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
            if depth == 0:
                return sql[:start], [*items, sql[begun:place].rstrip()], sql[place:]
        elif letter == "," and depth == 1:
            items.append(sql[begun:place])
            begun = place + 1
    raise ValueError(sql)
