"""Keys by HTTPS: from whom the certificate names, and from nobody else."""

import ssl
import subprocess
from pathlib import Path

import pytest

from core.identity import key_source
from core.identity.key_source import Unreadable
from harness.identity_keys import publishing


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for localhost, which vouches for itself."""
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(path), "-out", f"{path}.crt"),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.mark.parametrize(
    ("trusted", "host", "read"), [(True, "localhost", True), (False, "localhost", False), (True, "127.0.0.1", False)]
)
def test_the_certificate_is_verified_and_must_name_the_host(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool, host: str, read: bool
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    with publishing(b"the keys", context) as publisher:
        address = publisher.url.replace("127.0.0.1", host)
        assert address.startswith("https://")
        if read:
            assert key_source.read(address) == b"the keys"
        else:
            with pytest.raises(Unreadable, match="TLS: CERTIFICATE_VERIFY_FAILED"):
                key_source.read(address)
            assert publisher.requested == []
