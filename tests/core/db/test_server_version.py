"""One function judges servers by what `SELECT VERSION()` says."""

import pytest

from core.db.server_version import Server, server

REFUSED, WARNED, TAKEN = "refused", "warned about", "taken"


@pytest.mark.parametrize(
    ("reported", "product", "version", "judged"),
    [
        ("9.7.4", "MySQL", (9, 7, 4), TAKEN),
        ("9.7.4-2", "MySQL", (9, 7, 4), TAKEN),
        ("9.0.1", "MySQL", (9, 0, 1), TAKEN),
        ("8.4.0", "MySQL", (8, 4, 0), TAKEN),
        ("8.4.3-log", "MySQL", (8, 4, 3), TAKEN),
        ("8.4.6-6", "MySQL", (8, 4, 6), TAKEN),  # Percona
        ("10.0.0", "MySQL", (10, 0, 0), TAKEN),
        ("8.3.0", "MySQL", (8, 3, 0), WARNED),
        ("8.1.0", "MySQL", (8, 1, 0), WARNED),
        ("8.0.43", "MySQL", (8, 0, 43), WARNED),
        ("8.0.36-28.1", "MySQL", (8, 0, 36), WARNED),  # Percona
        ("8.0.36-azure", "MySQL", (8, 0, 36), WARNED),
        ("8.0.35-0ubuntu0.22.04.1", "MySQL", (8, 0, 35), WARNED),
        ("8.0.20", "MySQL", (8, 0, 20), WARNED),  # the proof finds its JSON null
        ("8.0.17", "MySQL", (8, 0, 17), WARNED),
        ("8.0.mysql_aurora.3.04.0", "MySQL", (8, 0), WARNED),
        ("8.0.16", "MySQL", (8, 0, 16), REFUSED),
        ("8.0.4-rc-log", "MySQL", (8, 0, 4), REFUSED),
        ("5.7.44-log", "MySQL", (5, 7, 44), REFUSED),
        ("5.7.mysql_aurora.2.11.1", "MySQL", (5, 7), REFUSED),
        ("5.6.51", "MySQL", (5, 6, 51), REFUSED),
        ("10.11.14-MariaDB-0+deb12u2", "MariaDB", (10, 11, 14), TAKEN),
        ("5.5.5-10.11.6-MariaDB-log", "MariaDB", (10, 11, 6), TAKEN),
        ("10.6.0-MariaDB", "MariaDB", (10, 6, 0), TAKEN),
        ("11.8.2-MariaDB-ubu2404", "MariaDB", (11, 8, 2), TAKEN),
        ("12.0.2-MariaDB", "MariaDB", (12, 0, 2), TAKEN),
        ("10.5.27-MariaDB", "MariaDB", (10, 5, 27), REFUSED),
        ("5.5.5-10.4.34-MariaDB", "MariaDB", (10, 4, 34), REFUSED),
        ("8.0.11-TiDB-v8.5.0", "TiDB", (8, 5, 0), WARNED),
        ("5.7.25-TiDB-v5.4.0", "TiDB", (5, 4, 0), WARNED),
        ("8.0.30-Vitess", "Vitess", (), WARNED),
        ("5.7.9-vitess-14.0.1", "Vitess", (14, 0, 1), WARNED),
        ("5.7.25-OceanBase_CE-v4.3.5.0", "OceanBase", (), WARNED),
        ("something else", "of an unknown kind", (), WARNED),
    ],
)
def test_a_server_is_known_and_judged_by_what_it_says(
    reported: str, product: str, version: tuple[int, ...], judged: str
) -> None:
    found = server(reported)
    assert found == Server(product, version)
    assert (found.refusal is not None, found.warning is not None) == (judged == REFUSED, judged == WARNED)


def test_a_judgement_says_what_is_supported() -> None:
    needed = "MySQL 8.4 or MariaDB 10.6 or newer"
    assert server("5.7.44").refusal == f"the server is MySQL 5.7.44; {needed} is needed"
    assert server("8.0.43").warning == f"the server is MySQL 8.0.43, which is no longer supported; {needed} is"
    assert (
        server("8.0.11-TiDB-v8.5.0").warning
        == f"the server is TiDB 8.5.0, which nobody has tried; {needed} is supported"
    )
