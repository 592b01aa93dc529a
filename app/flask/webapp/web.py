"""How values travel: JSON, and ids in addresses."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from flask import current_app, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.routing import IntegerConverter

# Larger than any request of the API, and as large as Apache lets through (httpd.conf): Apache is
# the first to refuse, and this holds for whoever comes to Flask by itself.
MAX_BODY_BYTES = 64 * 1024
# What is read, and thrown away, of a body that is too large before the connection is closed over
# it: who still sends then does not get to read the answer, and Apache says 503 instead.
MAX_DRAINED_BYTES = 32 * 1024 * 1024


class IdConverter(IntegerConverter):
    """An id in an address: at most 18 digits, so that it fits MySQL's BIGINT."""

    regex = r"\d{1,18}"


class JsonProvider(DefaultJSONProvider):
    """JSON without loss: a number with a point becomes Decimal, which leaves as text.

    Times leave as ISO 8601 in UTC.
    """

    sort_keys = False
    ensure_ascii = False

    @staticmethod
    def default(value: Any) -> Any:
        """Turn what JSON does not know into what it knows."""
        if isinstance(value, datetime):
            return value.strftime("%Y-%m-%dT%H:%M:%SZ")
        if isinstance(value, Decimal):
            return str(value)
        return DefaultJSONProvider.default(value)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Read JSON.

        Raises:
            ValueError: it is none; NaN and Infinity are none, and a name twice in an object is a
                mistake of which nobody knows what was meant.
        """
        return super().loads(
            s,
            parse_float=_number,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
            **kwargs,
        )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _number(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:
        raise ValueError(f"{digits[:30]} is too large a number") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    for name in found:
        # Half of a surrogate pair, which no answer could repeat.
        if not name.isascii() and not name.encode(errors="ignore").decode() == name:
            raise ValueError("a name is no Unicode text")
    return found


def json_body() -> Mapping[str, object]:
    """Return the request's JSON object.

    Raises:
        werkzeug.exceptions.UnsupportedMediaType: the content type is not JSON.
        werkzeug.exceptions.BadRequest: the body is not JSON, or not an object.
        werkzeug.exceptions.RequestEntityTooLarge: the body is larger than the application allows.
    """
    if not request.is_json:
        raise UnsupportedMediaType("The content type must be application/json.")
    try:
        # As text, because JSON is UTF-8 (RFC 8259); of bytes Python would guess.
        payload = current_app.json.loads(request.get_data().decode())
    except RecursionError as error:
        raise BadRequest("The body is nested too deeply.") from error
    except ValueError as error:
        raise BadRequest(f"The body is no JSON: {error}.") from error
    if not isinstance(payload, dict):
        raise BadRequest('The body must be a JSON object, for example {"name": "…"}.')
    return payload


def bound_body() -> None:
    """Hold a body without a length (chunked) to MAX_BODY_BYTES, too.

    Werkzeug cuts such a body off at its limit without a word, and the rest of it would be taken
    for the whole.

    Raises:
        werkzeug.exceptions.RequestEntityTooLarge: it is larger.
    """
    environ = request.environ
    if "wsgi.input_terminated" not in environ or request.content_length is not None:
        return
    stream = environ["wsgi.input"]
    body = stream.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        drained = 0
        while drained < MAX_DRAINED_BYTES and (chunk := stream.read(MAX_BODY_BYTES)):
            drained += len(chunk)
        raise RequestEntityTooLarge
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    del environ["wsgi.input_terminated"]
    # What follows takes the length for certain only without it.
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    request.__dict__.pop("content_length", None)
