"""models.py, migrations/ and schema.sql say the same."""

import re
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import Engine, create_engine

from app import create_app
from config import ROOT, load
from core.database import patient_engine
from models import SCHEMA_REVISION, Base
from prepare import MIGRATIONS, upgrade
from tests.servers.mariadb import MariaDB
from tests.servers.service import SECRET


def _engine(uri: str) -> Engine:
    return patient_engine(load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET))


def _tables(uri: str) -> dict[str, str]:
    """What the server itself says of each table."""
    engine = _engine(uri)
    with engine.connect() as connection:
        return {
            name: re.sub(r" AUTO_INCREMENT=\d+", "", connection.exec_driver_sql(f"SHOW CREATE TABLE {name}").one()[1])
            for name in sqlalchemy.inspect(connection).get_table_names()
            if name != "alembic_version"
        }


@pytest.fixture
def three(mariadb: MariaDB) -> dict[str, str]:
    names = ("models", "migrations", "schema_sql")
    yield {name: mariadb.create_database(f"schema_{name}") for name in names}
    for name in names:
        mariadb.drop_database(f"schema_{name}")


@pytest.mark.mariadb
def test_models_migrations_and_schema_sql_make_the_same_tables_on_a_real_server(three: dict[str, str]) -> None:
    with _engine(three["models"]).begin() as connection:
        Base.metadata.create_all(connection)
    upgrade(create_app(load(SQLALCHEMY_DATABASE_URI=three["migrations"], SECRET_KEY=SECRET)))
    with _engine(three["schema_sql"]).begin() as connection:
        text = re.sub(r"^--.*$", "", (ROOT / "schema.sql").read_text(), flags=re.MULTILINE)
        for statement in filter(str.strip, text.split(";")):
            connection.exec_driver_sql(statement)
    models = _tables(three["models"])
    assert set(models) == set(Base.metadata.tables)
    assert _tables(three["migrations"]) == models
    assert _tables(three["schema_sql"]) == models
    # A database set up by hand is recognised, and not set up again.
    upgrade(create_app(load(SQLALCHEMY_DATABASE_URI=three["schema_sql"], SECRET_KEY=SECRET)))


def test_models_and_migrations_make_the_same_tables_on_sqlite(tmp_path: Path) -> None:
    made = {}
    for name in ("models", "migrations"):
        uri = f"sqlite:///{tmp_path / name}.db"
        if name == "models":
            with create_engine(uri).begin() as connection:
                Base.metadata.create_all(connection)
        else:
            upgrade(create_app(load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET)))
        with create_engine(uri).connect() as connection:
            rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%'")
            made[name] = {row.name: re.sub(r"\s+", "", row.sql or "") for row in rows if "alembic" not in row.name}
    assert {key: sorted(value.split(",")) for key, value in made["models"].items()} == {
        key: sorted(value.split(",")) for key, value in made["migrations"].items()
    }


def test_the_code_knows_its_newest_migration() -> None:
    revisions = sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    assert revisions[-1] == SCHEMA_REVISION
