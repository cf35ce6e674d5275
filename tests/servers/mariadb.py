"""A MariaDB server of the tests' own."""

import subprocess

from tests.servers.database_server import DatabaseServer, as_root, program


class MariaDB(DatabaseServer):
    """MariaDB from the system's packages."""

    mariadb = True

    def make_data_directory(self) -> None:
        subprocess.run(
            [
                program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={self.directory / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                *as_root(),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def server_command(self) -> list[str]:
        return [program("mariadbd"), "--no-defaults"]
