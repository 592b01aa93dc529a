"""Who asks: a session of the pages, HTTP Basic, or a token; and what their role lets them do.

Everybody reads products. What the cookie holds is a random key, whose digest the table of sessions
has: a session is over when its row is gone.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

from flask import Blueprint, Flask, Request, g, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect
from sqlalchemy import delete, func, insert, or_, select, text
from sqlalchemy.orm import Session, undefer
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from webapp import accounts, db, logs
from webapp.models import SignedIn, User

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Whoever has signed in is asked again after half a day, however busy.
LIFETIME = timedelta(hours=12)

logger = logs.logger("webapp.auth")

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
        SESSION_REFRESH_EACH_REQUEST=False,
        # Whether a request needs a token depends on who asks: see protect().
        WTF_CSRF_CHECK_DEFAULT=False,
        # As long as the session, to which the token is bound.
        WTF_CSRF_TIME_LIMIT=None,
        # The token proves where a form comes from; programs send no Referer.
        WTF_CSRF_SSL_STRICT=False,
    )
    csrf.init_app(app)


def sign_in(user: User) -> None:
    """Begin a session; whatever the browser's earlier one held is gone."""
    earlier = _given()
    key = secrets.token_urlsafe(32)
    with db.session() as changes:
        # Those that are over, and the one of this browser.
        over = SignedIn.expires_at <= func.now()
        changes.execute(delete(SignedIn).where(or_(over, SignedIn.digest == earlier)))
        expires = text(f"CURRENT_TIMESTAMP + INTERVAL {int(LIFETIME.total_seconds())} SECOND")
        changes.execute(
            insert(SignedIn).values(
                digest=accounts.digest(key), user_id=user.id, expires_at=expires
            )
        )
    session.clear()
    session.permanent = True
    session["key"] = key
    g.user = user


def sign_out() -> None:
    """End the session, here and on the server: a copy of its cookie is worth nothing."""
    if given := _given():
        with db.session() as changes:
            changes.execute(delete(SignedIn).where(SignedIn.digest == given))
    session.clear()
    g.user = None


def end_sessions(changes: Session, user_id: int, *, keep_own: bool) -> None:
    """End all sessions of an account.

    Args:
        changes: the transaction in which they end.
        user_id: the account.
        keep_own: whether the one that asks goes on.
    """
    ended = delete(SignedIn).where(SignedIn.user_id == user_id)
    if keep_own:
        ended = ended.where(SignedIn.digest != _given())
    changes.execute(ended)


def sign_out_everywhere(user: User) -> None:
    """End all sessions of an account, this one too."""
    with db.session() as changes:
        end_sessions(changes, user.id, keep_own=False)
    session.clear()
    g.user = None


def _given() -> bytes:
    """Return the digest of the session's key; empty without a session."""
    key = session.get("key")
    return accounts.digest(key) if isinstance(key, str) else b""


def session_user() -> User | None:
    """Return the account of the session: None without one, and when it has ended or expired."""
    given = _given()
    if not given:
        return None
    wanted = (
        select(User)
        .join(SignedIn, SignedIn.user_id == User.id)
        .where(SignedIn.digest == given, SignedIn.expires_at > func.now())
        .options(undefer(User.password))
    )
    with db.reading() as connection, Session(connection) as found:
        user = found.scalar(wanted)
    if user is None:
        session.clear()
    return user


def current_user() -> User | None:
    """Return who asks: by Authorization, where the request has it, else by session; or None.

    Raises:
        webapp.accounts.TooManyTriesError: too many wrong passwords.
        webapp.passwords.BusyError: too many passwords are being checked.
    """
    if "user" not in g:
        g.user = _authorized(request) if "Authorization" in request.headers else session_user()
    user: User | None = g.user
    return user


def by_session() -> bool:
    """Return whether it is a session by which the account of the request is known."""
    return "Authorization" not in request.headers


def _authorized(source: Request) -> User | None:
    """Return the account of HTTP Basic, or of a token."""
    given = source.authorization
    address = source.remote_addr or ""
    if given and given.type == "bearer":
        user = accounts.by_token(given.token or "")
        if user is None:
            logger.warning("A token is unknown.", extra={"address": address})
        return user
    name, password = "", ""
    if given and given.type == "basic":
        name, password = given.username or "", given.password or ""
    return accounts.check(name, password, address, remember=True)


def require(role: str) -> None:
    """Let the request pass when somebody asks who may do what this role may.

    Raises:
        werkzeug.exceptions.Unauthorized: nobody is known.
        werkzeug.exceptions.Forbidden: the account may not.
        flask_wtf.csrf.CSRFError: a session changes something without the token of its pages.
    """
    user = current_user()
    if user is None:
        raise Unauthorized(
            "Sign in, or send name and password (HTTP Basic) or a token (Bearer).",
            www_authenticate=WWWAuthenticate("basic", {"realm": "webapp", "charset": "UTF-8"}),
        )
    # A foreign page cannot use a password that the browser remembers: changes need the content
    # type application/json or other methods than POST, which a browser asks about first (CORS),
    # and that question is answered with no. A cookie it could use, so that needs a token.
    if request.method not in SAFE_METHODS and by_session():
        csrf.protect()
    if not user.may(role):
        raise Forbidden(f"This needs the role {role}; the account {user.username} is {user.role}.")


def guard(blueprint: Blueprint, *, reader: str | None, writer: str) -> None:
    """Protect all routes of a blueprint of the API.

    Args:
        blueprint: the blueprint.
        reader: the role that GET needs; None: nobody needs an account to read.
        writer: the role that changes need.
    """

    @blueprint.before_request
    def check() -> None:
        needed = reader if request.method in SAFE_METHODS else writer
        if needed:
            require(needed)
