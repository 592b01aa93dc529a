"""Rules for bodies: each turns a JSON value into one that fits its column, or says why not."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import request
from werkzeug.exceptions import BadRequest

# Takes a JSON value, returns the column's value, or raises ValueError with words for the sender.
Rule = Callable[[object], Any]

EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")


class InvalidBodyError(Exception):
    """The body is JSON, but not what is asked for.

    Attributes:
        errors: what is wrong, by field.
    """

    def __init__(self, errors: dict[str, str]) -> None:
        """Remember the errors."""
        super().__init__("invalid body")
        self.errors = errors


def body() -> Mapping[str, object]:
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


def check(
    payload: Mapping[str, object], rules: Mapping[str, Rule], optional: Collection[str] = ()
) -> dict[str, Any]:
    """Apply each rule to its field.

    Args:
        payload: the JSON object.
        rules: by field.
        optional: fields that may be left out; they are then missing in the result too.

    Returns:
        The checked values by field.

    Raises:
        InvalidBodyError: fields are missing, unknown or break their rule; all are told at once.
    """
    errors = {name: "unknown field" for name in payload if name not in rules}
    values = {}
    for name, rule in rules.items():
        if name not in payload:
            if name not in optional:
                errors[name] = "missing"
            continue
        try:
            values[name] = rule(payload[name])
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise InvalidBodyError(errors)
    return values


def text(
    *,
    maximum: int,
    minimum: int = 1,
    pattern: re.Pattern[str] | None = None,
    expected: str = "",
    lines: bool = False,
    strip: bool = True,
) -> Rule:
    """Make a rule for text.

    Args:
        maximum: the most characters.
        minimum: the fewest characters, after blanks at both ends are taken off.
        pattern: what the whole text must match.
        expected: the pattern in words.
        lines: whether line breaks and tabs are allowed.
        strip: whether blanks at both ends are taken off.
    """

    def rule(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("must be text")
        value = value.strip() if strip else value
        if not minimum <= len(value) <= maximum:
            raise ValueError(f"must have {minimum} to {maximum} characters")
        for character in value:
            # Cc: control characters; Cs: halves of a surrogate pair, which no UTF-8 text can hold.
            if unicodedata.category(character) in {"Cc", "Cs"} and not (
                lines and character in "\n\r\t"
            ):
                raise ValueError("must not have control characters")
        if pattern and not pattern.fullmatch(value):
            raise ValueError(expected)
        return value

    return rule


def integer(minimum: int, maximum: int) -> Rule:
    """Make a rule for a whole number in a range, both ends included."""

    def rule(value: object) -> int:
        # bool is an int in Python; in JSON true is no number.
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError("must be a whole number")
        if not minimum <= value <= maximum:
            raise ValueError(f"must be from {minimum} to {maximum}")
        return value

    return rule


def money(value: object) -> Decimal:
    """Rule for an amount: 0 to 99999999.99, text or number, at most two decimals, never rounded."""
    if isinstance(value, str) and not re.fullmatch(r"\d{1,8}(\.\d{1,2})?", value, re.ASCII):
        raise ValueError('must be an amount like "12.50"')
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError('must be an amount like "12.50"')
    try:
        amount = Decimal(value)
        exact = amount.quantize(Decimal("0.01"))
    except InvalidOperation:
        raise ValueError("must be from 0 to 99999999.99") from None
    if exact != amount:
        raise ValueError("must have at most two decimals")
    if not 0 <= exact <= Decimal("99999999.99"):
        raise ValueError("must be from 0 to 99999999.99")
    # -0 is 0.
    return abs(exact)
