"""Errors: JSON for programs (/api, /healthz), a page in Spanish for people."""

from __future__ import annotations

from flask import Flask, current_app, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, InternalServerError

from webapp.db import DatabaseUnavailableError, DuplicateError
from webapp.validation import InvalidBodyError

# What a visitor reads: title and sentence by status.
PAGES = {
    404: ("No existe", "La página que busca no existe."),
    503: ("Volvemos enseguida", "La base de datos no responde. Inténtelo dentro de unos segundos."),
}
OTHER_PAGE = ("Algo ha fallado", "La petición no se ha podido atender.")


def error_response(
    status: int, message: str, errors: dict[str, str] | None = None
) -> ResponseReturnValue:
    """Answer with an error, in the form that the address's readers expect.

    Args:
        status: HTTP status.
        message: one sentence, for programs.
        errors: what is wrong, by field.
    """
    headers = {"Retry-After": "5"} if status == 503 else {}
    if request.path.startswith(("/api/", "/healthz")):
        content = jsonify(status=status, message=message, errors=errors or {})
        return content, status, headers
    title, sentence = PAGES.get(status, OTHER_PAGE)
    return render_template("error.html", title=title, sentence=sentence), status, headers


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

    @app.errorhandler(DatabaseUnavailableError)
    def database_unavailable(error: DatabaseUnavailableError) -> ResponseReturnValue:
        current_app.logger.error("The database is unavailable: %s", error)
        return error_response(503, "The database is unavailable.")

    @app.errorhandler(DuplicateError)
    def duplicate(error: DuplicateError) -> ResponseReturnValue:
        return error_response(
            409, f"There is one with this {error.field} already.", {error.field: "taken"}
        )

    @app.errorhandler(InvalidBodyError)
    def invalid_body(error: InvalidBodyError) -> ResponseReturnValue:
        return error_response(422, "Some fields are not right.", error.errors)
