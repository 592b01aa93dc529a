"""How values travel: JSON, and ids in addresses."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn

from flask.json.provider import DefaultJSONProvider
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
            ValueError: it is none; NaN and Infinity are none.
        """
        return super().loads(s, parse_float=Decimal, parse_constant=_refuse_constant, **kwargs)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
