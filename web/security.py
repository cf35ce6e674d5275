"""The headers of every page: what a browser may load and run there, and what it discloses to others.

Those that every answer has, such as `X-Content-Type-Options`, are the pipeline's (resources/http/envelope.py).
"""

from flask import Response

# Scripts, styles and calls are our own. Pictures of goods may lie with others, over TLS; CSS draws with `data:`.
_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' https: data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Not `no-referrer`: under it browsers send `Origin: null` with our own forms, as with those of strangers.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
}


def page(html: str | bytes, *, cache: str, status: int = 200) -> Response:
    """An HTML page with the headers of every page. `cache` is its `Cache-Control`."""
    response = Response(html, status=status, content_type="text/html; charset=utf-8")
    response.headers.update(HEADERS)
    response.headers["Cache-Control"] = cache
    return response
