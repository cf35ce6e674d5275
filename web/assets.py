"""Serves the static files of the pages.

Each file has an address that changes with the content of any of them, `/static/<version>/<path>`, and may be kept for
ever there. Modules import one another by relative paths, so one version stands for all files together. What other sites
load is at a fixed address too, `/static/client/v1/<name>`, and may be kept for five minutes. The client and the element
come whole, with what they import: else a browser could join a file that it kept with one that is newer.

Files are public: pages of every origin may load them, and no cookie or token is looked at.
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

from resources.http.answers import conditional_headers
from web.pack import packed

WEB = Path(__file__).parent
FIXED = "/static/client/v1/"
_CLIENT = "client/"
_WHOLE = ("client/seckill.js", "client/flash-sale.js")
# A suffix that is not here is not served. `.ts` are the client's types.
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml; charset=utf-8",
    ".ts": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_GZIP = 31  # zlib: the form of gzip, without a time in it
# zlib's memory level. Less memory, shorter blocks: with 6 the files that are served are smallest, the element by 1 %.
_MEMORY = 6
_PRIVATE_FOLDERS = frozenset({"templates", "node_modules", "__pycache__"})
_VERSION = re.compile(r"[0-9a-f]{16}")
_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_MINUTES = "public, max-age=300"
_REVALIDATE = "public, no-cache"


@dataclass(frozen=True)
class Asset:
    """A file as it is sent. `packed` is its gzip, where that is smaller."""

    media_type: str
    body: bytes
    packed: bytes | None
    etag: str


@cache
def assets() -> Mapping[str, Asset]:
    """Every file that is served, by its path below web/. They are read once in the life of a process."""
    return MappingProxyType({path.relative_to(WEB).as_posix(): _read(path) for path in _files()})


@cache
def version() -> str:
    """What stands for the content of all files together."""
    listed = "\n".join(f"{path} {asset.etag}" for path, asset in sorted(assets().items()))
    return sha256(listed.encode()).hexdigest()[:16]


def asset_url(path: str) -> str:
    """The address of a file of web/, such as `storefront/storefront.js`. Raises LookupError where there is none."""
    if path not in assets():
        raise LookupError(f"web/{path} is not there, or is not served")
    return f"/static/{version()}/{path}"


def register(app: Flask) -> None:
    """Serve the files, and give templates `asset_url`."""
    app.add_url_rule(f"{FIXED}<path:asset>", view_func=_at_fixed_address, endpoint="client_file")
    app.add_url_rule("/static/<static_version>/<path:asset>", view_func=_at_versioned_address, endpoint="static_file")
    app.add_template_global(asset_url)


def _at_fixed_address(asset: str) -> Response:
    return _send(assets().get(_CLIENT + asset), _FOR_MINUTES)


def _at_versioned_address(static_version: str, asset: str) -> Response:
    if not _VERSION.fullmatch(static_version):
        raise NotFound
    # While workers are being replaced, a page of one version can ask a worker of another. It is sent the file that is
    # there, for this time only.
    return _send(assets().get(asset), _FOR_EVER if static_version == version() else _REVALIDATE)


def _send(asset: Asset | None, cache_control: str) -> Response:
    if asset is None:
        raise NotFound
    smaller = asset.packed if request.accept_encodings["gzip"] > 0 else None
    headers = conditional_headers(asset.etag if smaller is None else f"{asset.etag}-gzip", cache_control)
    headers |= {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
    if asset.packed is not None:
        headers["Vary"] = "Accept-Encoding"
    if smaller is not None:
        headers["Content-Encoding"] = "gzip"
    return Response(asset.body if smaller is None else smaller, headers=headers, content_type=asset.media_type)


def _files() -> list[Path]:
    """Files of web/ that are served. Whoever can write there can choose their content: links lead nowhere."""
    return sorted(
        path
        for path in WEB.rglob("*")
        if path.suffix in _MEDIA_TYPES
        and path.is_file()
        and path.resolve() == WEB.resolve() / path.relative_to(WEB)
        and not any(part in _PRIVATE_FOLDERS or part.startswith(".") for part in path.relative_to(WEB).parts)
    )


def _read(path: Path) -> Asset:
    body = packed(path) if path.relative_to(WEB).as_posix() in _WHOLE else path.read_bytes()
    smaller = _gzip(body)
    etag = sha256(body).hexdigest()[:16]
    return Asset(_MEDIA_TYPES[path.suffix], body, smaller if len(smaller) < len(body) else None, etag)


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP, _MEMORY)
    return packer.compress(body) + packer.flush()
