"""How values travel: JSON, and ids in addresses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn

from flask import request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import BadRequest
from werkzeug.routing import IntegerConverter


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
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
            **kwargs,
        )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def json_body() -> Mapping[str, object]:
    """Return the request's JSON object.

    Raises:
        werkzeug.exceptions.UnsupportedMediaType: the content type is not JSON.
        werkzeug.exceptions.BadRequest: the body is not JSON, or not an object.
        werkzeug.exceptions.RequestEntityTooLarge: the body is larger than the application allows.
    """
    try:
        payload = request.get_json()
    except RecursionError as error:
        raise BadRequest("The body is nested too deeply.") from error
    if not isinstance(payload, dict):
        raise BadRequest('The body must be a JSON object, for example {"name": "…"}.')
    return payload
