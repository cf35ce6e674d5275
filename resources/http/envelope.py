"""What every answer has, whichever entrance made it: its id, its headers, its log line, and 304 for what is known."""

from werkzeug.http import parse_etags, unquote_etag

from core.ops.metrics import record
from resources.http import request_log
from resources.http.api_request import ApiRequest
from resources.http.cors import CorsHeaders
from resources.http.reply import Reply
from resources.http.request_log import AnsweredRequest

# Names of headers are written as here wherever an answer is made.
_OF_A_BODY = ("Content-Type", "Content-Length")
_NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
_NOT_STORED = ("Cache-Control", "no-store")
SAFE_HEADERS = [_NO_SNIFFING, _NOT_STORED]
_NOT_MODIFIED = 304
WITHOUT_BODY = (204, _NOT_MODIFIED)


class Envelope:
    """Completes answers. Shared by all threads of a process."""

    def __init__(self, cors_headers: CorsHeaders) -> None:
        self._cors_headers = cors_headers

    def seal(self, request: ApiRequest, reply: Reply) -> Reply:
        """The answer as it is sent, with the headers that all answers have."""
        if "HTTP_IF_NONE_MATCH" in request.environ:
            reply = _unless_known(request, reply)
        status, own, body = reply
        headers = [*own, ("X-Request-ID", request.id), _NO_SNIFFING]
        cached = measured = for_all = False
        for name, _ in own:  # one look for all: this runs for every answer
            if name == "Cache-Control":
                cached = True
            elif name == "Content-Length":
                measured = True
            elif name == "Access-Control-Allow-Origin":
                for_all = True  # a second such header would make browsers refuse the answer
        if not for_all:
            headers += self._cors_headers(request)
        if not cached:
            headers.append(_NOT_STORED)
        if isinstance(body, bytes):
            if not measured and status not in WITHOUT_BODY:
                headers.append(("Content-Length", str(len(body))))
            if request.method == "HEAD":
                body = b""
        return Reply(status, headers, body)

    def note(self, request: ApiRequest, status: int) -> None:
        """Write the request's log line and count it, once its answer is complete. A failure is only logged."""
        record(lambda: self.end(request, status))

    def end(self, request: ApiRequest, status: int) -> None:
        """`note`, without its guard."""
        caller = request.caller
        request_log.note(
            AnsweredRequest(
                id=request.id,
                method=request.method,
                route=request.route,
                status=status,
                code=request.code,
                began=request.began,
                user_id=None if caller is None else caller.user_id,
            )
        )


def _unless_known(request: ApiRequest, reply: Reply) -> Reply:
    """The reply, or 304 where `If-None-Match` says that the client has it."""
    etag = next((value for name, value in reply.headers if name == "ETag"), None)
    if reply.status != 200 or request.method not in ("GET", "HEAD") or etag is None:
        return reply
    known = request.environ["HTTP_IF_NONE_MATCH"]
    # As a rule it is the one tag, as it was sent: there is no list to read.
    if known != etag and not parse_etags(known).contains_weak(unquote_etag(etag)[0] or ""):
        return reply
    return Reply(_NOT_MODIFIED, [pair for pair in reply.headers if pair[0] not in _OF_A_BODY])
