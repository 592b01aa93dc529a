"""Errors: RFC 9457's problem details for programs (/api, health), a page for people."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, current_app, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from webapp import auth
from webapp.accounts import TooManyTriesError
from webapp.db import DatabaseUnavailableError, DuplicateError
from webapp.i18n import N_
from webapp.passwords import BusyError
from webapp.schemas import InvalidBodyError
from webapp.store import LAST_ADMIN, OWN_ACCOUNT, StaleError

PROBLEM = "application/problem+json"
PROGRAMS = ("/api/", "/healthz", "/readyz", "/metrics")
# Pages that are read by people all the same.
PEOPLE = ("/api/docs",)

# What a visitor reads: title and sentence by status.
PAGES = {
    403: (N_("Not allowed"), N_("Your account may not do this.")),
    404: (N_("Not found"), N_("There is no such page.")),
    409: (N_("Not possible"), N_("Somebody else has changed this in the meantime.")),
    413: (N_("Too large"), N_("What was sent is larger than 64 KiB.")),
    422: (N_("Wrong address"), N_("The address of the page has a value that does not fit.")),
    429: (N_("Too many attempts"), N_("Wait a moment, then try again.")),
    503: (
        N_("Back in a moment"),
        N_("The database does not answer. Try again in a few seconds."),
    ),
}
EXPIRED = (N_("The form has expired"), N_("Go back, load the page anew and send the form again."))
OTHER_PAGE = (N_("Something went wrong"), N_("The request could not be answered."))
# Sentences of the application that people read as they are.
SENTENCES = {LAST_ADMIN, OWN_ACCOUNT}
RETRY_SECONDS = 5


def for_programs() -> bool:
    """Return whether a program asks, by the address."""
    return request.path.startswith(PROGRAMS) and not request.path.startswith(PEOPLE)


def error_response(
    status: int,
    detail: str,
    errors: dict[str, str] | None = None,
    retry: int | None = None,
    words: tuple[str, str] | None = None,
) -> ResponseReturnValue:
    """Answer with an error, in the form that the address's readers expect.

    Args:
        status: HTTP status.
        detail: one sentence, for programs.
        errors: what is wrong, by field.
        retry: seconds after which another try makes sense.
        words: title and sentence for people; by default those of the status.
    """
    headers = {"Cache-Control": "no-store"}
    if retry is not None:
        headers["Retry-After"] = str(retry)
    if for_programs():
        content = jsonify(
            type="about:blank",
            title=HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            errors=errors or {},
        )
        content.mimetype = PROBLEM
        return content, status, headers
    title, sentence = words or PAGES.get(status, OTHER_PAGE)
    if detail in SENTENCES:
        sentence = detail
    _look_who_asks()
    page = render_template("error.html", title=gettext(title), sentence=gettext(sentence))
    return page, status, headers


def _look_who_asks() -> None:
    """Let the page's head show who is signed in, where that can be known."""
    try:
        auth.current_user()
    except (DatabaseUnavailableError, TooManyTriesError, BusyError):
        g.user = None


def init_app(app: Flask) -> None:
    """Register the handlers."""

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> ResponseReturnValue:
        if isinstance(error, InternalServerError):
            # Flask has logged the exception with its traceback; the outside learns nothing of it.
            return error_response(500, "Internal error; the server's log has the details.")
        if error.code is None or error.code < 400:
            return error.get_response()
        response = current_app.make_response(
            error_response(error.code, error.description or error.name)
        )
        for name, value in error.get_headers():
            # WWW-Authenticate of 401, Allow of 405; the length and type are of another body.
            if name not in {"Content-Type", "Content-Length"}:
                response.headers[name] = value
        return response

    @app.errorhandler(CSRFError)
    def no_token(error: CSRFError) -> ResponseReturnValue:
        detail = f"{error.description} Its header is X-CSRFToken."
        return error_response(403, detail, words=EXPIRED)

    @app.errorhandler(DatabaseUnavailableError)
    def database_unavailable(error: DatabaseUnavailableError) -> ResponseReturnValue:
        current_app.logger.error("The database %s: %s", error.reason, error)
        return error_response(503, f"The database {error.reason}.", retry=RETRY_SECONDS)

    @app.errorhandler(TooManyTriesError)
    def too_many_tries(error: TooManyTriesError) -> ResponseReturnValue:
        return error_response(429, "Too many wrong passwords.", retry=error.wait)

    @app.errorhandler(BusyError)
    def busy(_: BusyError) -> ResponseReturnValue:
        return error_response(429, "Too many logins at the same time.", retry=RETRY_SECONDS)

    @app.errorhandler(DuplicateError)
    def duplicate(error: DuplicateError) -> ResponseReturnValue:
        return error_response(
            409, f"There is one with this {error.field} already.", {error.field: "taken"}
        )

    @app.errorhandler(StaleError)
    def stale(error: StaleError) -> ResponseReturnValue:
        response = current_app.make_response(
            error_response(412, "It was changed in the meantime: read it again (ETag, If-Match).")
        )
        response.set_etag(str(error.row.version))
        return response

    @app.errorhandler(InvalidBodyError)
    def invalid_body(error: InvalidBodyError) -> ResponseReturnValue:
        return error_response(422, "Some fields are not right.", error.texts())
