"""Who visits: sign-in by a token or a name, sign-out, and the tokens that scripts and pages call the API with."""

import re
import time
from collections.abc import Mapping

from flask import Response, request
from werkzeug.exceptions import Forbidden

from core.services import Services
from core.tokens import Identity, InvalidToken, is_user_id
from resources.http.answers import flask_response
from resources.http.api_request import ApiRequest
from resources.http.reply import json_reply
from resources.http.shown_text import has_visible, hidden_character
from web import session as sessions
from web.session import Session, Sessions
from web.storefront import forms

_NEXT = re.compile(r"/(shop/([1-9][0-9]{0,18}|orders))?", re.ASCII)
_TOKEN_SECONDS = 15 * 60  # of a token for scripts, which ask for another


class Forged(Forbidden):
    """A form that did not come with a page of this visitor."""


class Visitors:
    """Signs visitors in and out."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings
        self._sessions = Sessions(self._settings.SECRET_KEY, self._settings.SECRET_KEY_FALLBACKS)

    def session(self) -> Session | None:
        """The session of this request, whose visitor its log line names."""
        session = self._sessions.read(request.cookies.get(sessions.COOKIE))
        if session is not None:
            ApiRequest.of(request.environ).caller = Identity(session.user_id, is_admin=False)
        return session

    def form_token(self, session: Session) -> str:
        return self._sessions.form_token(session)

    def token(self, session: Session, seconds: int | None = None) -> str:
        """A token of the API for a visitor, at most for as long as their session: a buyer's, whoever they are."""
        left = session.seconds_left()
        return self._services.tokens.issue(session.user_id, hours=(min(left, seconds) if seconds else left) / 3600)

    def check_form(self, session: Session, token: str | None) -> None:
        """Raises Forged unless a form came with a page of this session, by the browser's word and by its token."""
        if not sessions.is_ours(request, self._settings.PROXIES) or not self._sessions.is_form_token(session, token):
            raise Forged

    def sign_in(self) -> Session:
        """The session for the token, or in the demo for the name, in a form, a JSON body or the `Authorization` header.

        Raises Forged, InvalidToken or ValueError for a name that cannot be.
        """
        # There is no session yet that a form could be bound to; the browser's word keeps others from signing visitors
        # in as somebody else. The sites that CORS_ORIGINS names may: they are who sends visitors here.
        if not sessions.is_ours(request, self._settings.PROXIES, self._settings.CORS_ORIGINS):
            raise Forged
        given = self._given()
        if self._settings.demo_sign_in and "token" not in given and "name" in given:
            name = given["name"].strip()
            # A token may name any user. A name that is typed must be one that people can read.
            if not is_user_id(name) or hidden_character(name) or not has_visible(name):
                raise ValueError("nobody can sign in by this name")
            return self._sessions.open(name, int(time.time()) + sessions.MAX_SECONDS)
        identity, expires = self._services.tokens.verify_until(given.get("token", "").strip())
        return self._sessions.open(identity.user_id, expires)

    def _given(self) -> Mapping[str, str]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return {"token": token}
        if request.mimetype == "application/json":
            body = request.get_json(silent=True)
            return {name: value for name, value in body.items() if type(value) is str} if type(body) is dict else {}
        return forms.read(request)

    def set_cookie(self, response: Response, session: Session) -> None:
        secure = sessions.is_secure(request, self._settings.PROXIES)
        sessions.set_cookie(response, sessions.COOKIE, self._sessions.cookie(session), session.seconds_left(), secure)

    def issue_token(self) -> Response:
        """`POST /shop/session/token`: a token for scripts of our pages. They keep it in memory alone."""
        session = self.session()
        if session is None:
            raise InvalidToken
        self.check_form(session, request.headers.get("X-Form-Token"))
        seconds = min(_TOKEN_SECONDS, session.seconds_left())
        return flask_response(
            json_reply({"token": self.token(session, seconds), "seconds": seconds, "user_id": session.user_id})
        )


def next_page(wanted: str | None) -> str:
    """Where a form leads: a page of ours that it names, else the goods."""
    return wanted if wanted and _NEXT.fullmatch(wanted) else "/"
