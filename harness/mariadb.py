"""A MariaDB server of the tests' own."""

import subprocess

from harness.database_server import DatabaseServer, as_root, program


class MariaDB(DatabaseServer):
    """MariaDB from the system's packages."""

    mariadb = True

    def make_data_directory(self) -> None:
        made = subprocess.run(
            [
                program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={self.directory / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                f"--tmpdir={self.directory}",  # in the common one, servers that start at once clear each other's files
                "--innodb-use-native-aio=0",
                *as_root(),
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        if made.returncode:
            raise RuntimeError(f"mariadb-install-db failed:\n{made.stdout[-2000:]}{made.stderr[-2000:]}")

    def server_command(self) -> list[str]:
        return [program("mariadbd"), "--no-defaults"]
