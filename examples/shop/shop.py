"""The shop's server: three files, and a sign-in that gives the signed-in buyer a token for the service.

A real shop has pages and a sign-in already. What it adds is `token`: it signs the buyer's id, for a short time, with
the key that it shares with the service.
"""

import json
import secrets
import time
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import jwt

PAGE = Path(__file__).parent / "page"
TOKEN_SECONDS = 600
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/shop.js": ("shop.js", "text/javascript; charset=utf-8"),
    "/shop.css": ("shop.css", "text/css; charset=utf-8"),
}
_MOST = 1000  # bytes of a form
_SESSIONS = 1000


class Shop(ThreadingHTTPServer):
    """Serves the shop at 127.0.0.1:`port`, for the service at `service`, whose `SECRET_KEY` is `key`."""

    daemon_threads = True

    def __init__(self, port: int, service: str, key: str) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.service = service.rstrip("/")
        self._key = key
        self._buyers: dict[str, str] = {}  # by session

    @property
    def url(self) -> str:
        """The origin that `CORS_ORIGINS` of the service has to name."""
        return f"http://127.0.0.1:{self.server_port}"

    def sign_in(self, buyer: str) -> str:
        """A new session of `buyer`. Any name will do here; a real shop asks for proof."""
        while len(self._buyers) >= _SESSIONS:
            self._buyers.pop(next(iter(self._buyers)))
        session = secrets.token_urlsafe()
        self._buyers[session] = buyer
        return session

    def token(self, session: str) -> str | None:
        """A token for the service that names the session's buyer, or None where there is no such session."""
        buyer = self._buyers.get(session)
        if buyer is None:
            return None
        return jwt.encode({"sub": buyer, "exp": int(time.time()) + TOKEN_SECONDS}, self._key, algorithm="HS256")

    def page(self, name: str) -> bytes:
        """A file of the page, for this service."""
        return (PAGE / name).read_bytes().replace(b"https://seckill.example", self.service.encode())

    @property
    def policy(self) -> str:
        """What a page with the element needs to allow: the service, for its script and its answers."""
        return (
            f"default-src 'none'; script-src 'self' {self.service}; connect-src 'self' {self.service}; "
            "style-src 'self'; img-src https:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )


class _Handler(BaseHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        name, media_type = _FILES.get(self.path, (None, ""))
        if name is None:
            return self._send(404, b"", "text/plain")
        return self._send(200, self.server.page(name), media_type)

    def do_POST(self) -> None:
        # Browsers say where a form comes from: another site must not sign anybody in or read a token.
        if self.headers.get("Origin") != self.server.url:
            return self._send(403, b"", "text/plain")
        if self.path == "/sign-in":
            form = parse_qs(self.rfile.read(min(int(self.headers.get("Content-Length", 0)), _MOST)).decode())
            session = self.server.sign_in(form.get("name", ["guest"])[0][:64])
            set_cookie = f"session={session}; HttpOnly; SameSite=Strict; Path=/"
            return self._send(303, b"", "text/plain", {"Location": "/", "Set-Cookie": set_cookie})
        if self.path == "/token":
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get("session")
            token = None if cookie is None else self.server.token(cookie.value)
            return self._send(200, json.dumps({"token": token}).encode(), "application/json")
        return self._send(404, b"", "text/plain")

    def _send(self, status: int, body: bytes, media_type: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": media_type,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": self.server.policy,
            "Cache-Control": "no-store",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing: a line may hold what a visitor sent."""
