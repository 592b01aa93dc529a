"""Errors: JSON for programs (/api, health, metrics), a page in their language for people."""

from __future__ import annotations

from flask import Flask, current_app, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from webapp.accounts import TooManyTriesError
from webapp.db import DatabaseUnavailableError, DuplicateError
from webapp.i18n import N_
from webapp.passwords import BusyError
from webapp.schemas import InvalidBodyError

PROGRAMS = ("/api/", "/healthz", "/readyz", "/metrics")
# Pages that are read by people all the same.
PEOPLE = ("/api/docs",)

# What a visitor reads: title and sentence by status.
PAGES = {
    403: (N_("The form has expired"), N_("Go back, load the page anew and send the form again.")),
    404: (N_("Not found"), N_("There is no such page.")),
    409: (N_("Not possible"), N_("The account one is signed in with cannot be deleted.")),
    413: (N_("Too large"), N_("What was sent is larger than 64 KiB.")),
    422: (N_("Wrong address"), N_("The address of the page has a value that does not fit.")),
    429: (N_("Too many attempts"), N_("Wait a moment, then try again.")),
    503: (
        N_("Back in a moment"),
        N_("The database does not answer. Try again in a few seconds."),
    ),
}
OTHER_PAGE = (N_("Something went wrong"), N_("The request could not be answered."))
RETRY_SECONDS = 5


def for_programs() -> bool:
    """Return whether a program asks, by the address."""
    return request.path.startswith(PROGRAMS) and not request.path.startswith(PEOPLE)


def error_response(
    status: int, message: str, errors: dict[str, str] | None = None, retry: int | None = None
) -> ResponseReturnValue:
    """Answer with an error, in the form that the address's readers expect.

    Args:
        status: HTTP status.
        message: one sentence, for programs.
        errors: what is wrong, by field.
        retry: seconds after which another try makes sense.
    """
    headers = {"Cache-Control": "no-store"}
    if retry is not None:
        headers["Retry-After"] = str(retry)
    if for_programs():
        content = jsonify(status=status, message=message, errors=errors or {})
        return content, status, headers
    title, sentence = PAGES.get(status, OTHER_PAGE)
    page = render_template("error.html", title=gettext(title), sentence=gettext(sentence))
    return page, status, headers


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
        return error_response(403, f"{error.description} Its header is X-CSRFToken.")

    @app.errorhandler(DatabaseUnavailableError)
    def database_unavailable(error: DatabaseUnavailableError) -> ResponseReturnValue:
        current_app.logger.error("The database is unavailable: %s", error)
        return error_response(503, "The database is unavailable.", retry=RETRY_SECONDS)

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

    @app.errorhandler(InvalidBodyError)
    def invalid_body(error: InvalidBodyError) -> ResponseReturnValue:
        return error_response(422, "Some fields are not right.", error.texts())
