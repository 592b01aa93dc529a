"""Who asks: a session of the pages, or HTTP Basic; and what only they may do.

Everybody reads products. Users, and every change, need an account of the table of users.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta

from flask import Blueprint, Flask, Request, current_app, g, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from webapp import accounts
from webapp.models import User

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# A browser that is closed ends its session; one that stays open is asked again after half a day.
LIFETIME = timedelta(hours=12)

csrf = CSRFProtect()


class SessionInterface(SecureCookieSessionInterface):
    """Signed cookies that a browser sends back over HTTPS only, where they came over HTTPS."""

    def get_cookie_name(self, app: Flask) -> str:
        """Return a name for each scheme: over HTTP no cookie of HTTPS can be replaced."""
        name = super().get_cookie_name(app)
        # Of this prefix browsers make sure that only HTTPS, and this very host, can have set it.
        return f"__Host-{name}" if request.is_secure else name

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - Flask passes it
        """Say so: over plain HTTP a cookie with Secure would be lost at once."""
        return request.is_secure


def init_app(app: Flask) -> None:
    """Set up sessions and the protection of forms."""
    app.session_interface = SessionInterface()
    app.config.update(
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=LIFETIME,
        # Whether a request needs a token depends on who asks: see protect().
        WTF_CSRF_CHECK_DEFAULT=False,
        # As long as the session, to which the token is bound.
        WTF_CSRF_TIME_LIMIT=None,
        # The token proves where a form comes from; programs send no Referer.
        WTF_CSRF_SSL_STRICT=False,
    )
    csrf.init_app(app)


def _mark(user: User) -> str:
    """Return what ties a session to the account's password of now."""
    key = str(current_app.secret_key).encode()
    return hmac.new(key, f"{user.id}:{user.password}".encode(), hashlib.sha256).hexdigest()[:32]


def sign_in(user: User) -> None:
    """Begin a session; whatever the browser's earlier one held is gone."""
    session.clear()
    session.permanent = True
    session["user"] = user.id
    session["mark"] = _mark(user)
    g.user = user


def sign_out() -> None:
    """End the session."""
    session.clear()
    g.user = None


def keep_session(user: User) -> None:
    """Keep the session of somebody who has just changed the own password; all others end."""
    if session.get("user") == user.id:
        session["mark"] = _mark(user)


def session_user() -> User | None:
    """Return the account of the session: None without one, and when its password has changed."""
    user_id = session.get("user")
    if not isinstance(user_id, int):
        return None
    user = accounts.by_id(user_id)
    if user is None or not hmac.compare_digest(str(session.get("mark")), _mark(user)):
        session.clear()
        return None
    return user


def current_user() -> User | None:
    """Return who asks: by HTTP Basic, where the request has it, else by session; or None.

    Raises:
        webapp.accounts.TooManyTriesError: too many wrong passwords.
        webapp.passwords.BusyError: too many passwords are being checked.
    """
    if "user" not in g:
        given = _basic(request)
        if given:
            address = request.remote_addr or ""
            g.user = accounts.check(*given, address, remember=True)
        else:
            g.user = session_user()
    user: User | None = g.user
    return user


def _basic(source: Request) -> tuple[str, str] | None:
    """Return name and password of HTTP Basic; None where the request has no Authorization."""
    if "Authorization" not in source.headers:
        return None
    given = source.authorization
    if given is None or given.type != "basic":
        return "", ""
    return given.username or "", given.password or ""


def require_user() -> None:
    """Let the request pass when somebody asks who has an account.

    Raises:
        werkzeug.exceptions.Unauthorized: nobody does.
        flask_wtf.csrf.CSRFError: a session changes something without the token of its pages.
    """
    if current_user() is None:
        raise Unauthorized(
            "Sign in, or send name and password (HTTP Basic).",
            www_authenticate=WWWAuthenticate("basic", {"realm": "webapp", "charset": "UTF-8"}),
        )
    # A foreign page cannot use a password that the browser remembers: changes need the content
    # type application/json or other methods than POST, which a browser asks about first (CORS),
    # and that question is answered with no. A cookie it could use, so that needs a token.
    if request.method not in SAFE_METHODS and "Authorization" not in request.headers:
        csrf.protect()


def guard(blueprint: Blueprint, *, reading_is_free: bool) -> None:
    """Protect all routes of a blueprint of the API.

    Args:
        blueprint: the blueprint.
        reading_is_free: whether GET needs no account.
    """

    @blueprint.before_request
    def check() -> None:
        if not (reading_is_free and request.method in SAFE_METHODS):
            require_user()
