"""What a field may hold: the rules of forms and of the API, and their description in OpenAPI.

A rule takes a JSON value and returns one that fits its column, or says why not. The words are
English here; pages translate them (`N_` marks them for that).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from webapp.i18n import N_
from webapp.models import ROLES

Rule = Callable[[object], Any]

# Patterns are regular expressions of Python and of ECMA-262 (JSON Schema) alike.
_BREAKS = r"\u0009\u000a\u000d"
_CONTROL = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
# What nobody sees, and what turns the direction of the text around it.
_HIDDEN = r"\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
_BARRED = _BREAKS + _CONTROL + _HIDDEN
# Allowed beside others, but alone no more than a blank: joiners, marks, fillers.
_BLANK = r"\s\u0300-\u036f\u115f\u1160\u17b4\u17b5\u200c\u200d\u2800\u3164\ufe00-\ufe0f\uffa0"
LINE = rf"^[^{_BARRED}]*$"
# More than blanks.
WORDS = rf"^[^{_BARRED}]*[^{_BLANK}{_BARRED}][^{_BARRED}]*$"
LINES = rf"^[^{_CONTROL}{_HIDDEN}]*$"
# An address as browsers take it (HTML, 4.10.5.1.5), with a dot in its domain, and letters of all
# scripts.
_LETTER = (
    r"A-Za-z\u00c0-\u02af\u0370-\u0600\u0620-\u10ff\u1200-\u167f\u1e00-\u1fff"
    r"\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3"
)
_LABEL = rf"[{_LETTER}0-9](?:[{_LETTER}0-9-]{{0,61}}[{_LETTER}0-9])?"
EMAIL = (
    rf"^[{_LETTER}0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@(?:{_LABEL}\.)+"
    rf"[{_LETTER}](?:[{_LETTER}0-9-]{{0,61}}[{_LETTER}0-9])$"
)
USERNAME = r"^[A-Za-z0-9._-]+$"
MONEY = r"^[0-9]{1,8}(\.[0-9]{1,2})?$"
MAX_MONEY = Decimal("99999999.99")
MAX_STOCK = 1_000_000_000


def problem(message: str, **values: object) -> PydanticCustomError:
    """Return an error for a sender: a sentence with {names}, and their values."""
    context: dict[str, Any] = {"template": message, "values": values}
    return PydanticCustomError("field", "{template}", context)


def text(
    *,
    maximum: int,
    minimum: int = 1,
    pattern: str = "",
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
    whole = re.compile(pattern) if pattern else None
    # Halves of a surrogate pair fit no UTF-8 text; JSON Schema knows none.
    barred = re.compile(rf"[{_CONTROL}{_HIDDEN}\ud800-\udfff{'' if lines else _BREAKS}]")

    def rule(value: object) -> str:
        if not isinstance(value, str):
            raise problem(N_("must be text"))
        # Before anything is taken off its ends: some control characters count as blanks.
        if barred.search(value):
            raise problem(N_("must not have control or invisible characters"))
        value = value.strip() if strip else value
        if not minimum <= len(value) <= maximum:
            raise problem(
                N_("must have {minimum} to {maximum} characters"), minimum=minimum, maximum=maximum
            )
        if whole and not whole.fullmatch(value):
            raise problem(expected)
        return value

    return rule


def integer(minimum: int, maximum: int) -> Rule:
    """Make a rule for a whole number in a range, both ends included."""

    def rule(value: object) -> int:
        # JSON's numbers with a point come as Decimal: 3.0 is as whole as 3 (RFC 8259 knows one
        # kind of number).
        if isinstance(value, Decimal) and value.is_finite() and abs(value) <= MAX_STOCK:
            value = int(value) if value == int(value) else value
        # bool is an int in Python; in JSON true is no number.
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise problem(N_("must be a whole number"))
        if not minimum <= value <= maximum:
            raise problem(
                N_("must be from {minimum} to {maximum}"), minimum=minimum, maximum=maximum
            )
        if not isinstance(value, int):
            raise problem(N_("must be a whole number"))
        return value

    return rule


def one_of(words: tuple[str, ...]) -> Rule:
    """Make a rule for one of some words."""

    def rule(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise problem(N_("must be one of {names}"), names=", ".join(words))
        return value

    return rule


def money(value: object) -> Decimal:
    """Rule for an amount: 0 to 99999999.99, text or number, at most two decimals, never rounded."""
    if isinstance(value, str) and not re.fullmatch(MONEY, value):
        raise problem(N_("must be an amount like {example}"), example="12.50")
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise problem(N_("must be an amount like {example}"), example="12.50")
    try:
        amount = Decimal(value)
        if not 0 <= amount <= MAX_MONEY:
            raise InvalidOperation
        exact = amount.quantize(Decimal("0.01"))
    except (InvalidOperation, ValueError):
        raise problem(
            N_("must be from {minimum} to {maximum}"), minimum="0", maximum=str(MAX_MONEY)
        ) from None
    if exact != amount:
        raise problem(N_("must have at most two decimals"))
    # -0 is 0.
    return abs(exact)


Name = Annotated[
    str,
    PlainValidator(
        text(maximum=100, pattern=WORDS, expected=N_("must have something that can be seen"))
    ),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 100, "pattern": WORDS}),
]
Email = Annotated[
    str,
    PlainValidator(
        text(maximum=254, pattern=EMAIL, expected=N_("must be an address like ana@example.com"))
    ),
    WithJsonSchema(
        {"type": "string", "maxLength": 254, "pattern": EMAIL, "examples": ["ana@example.com"]}
    ),
]
Username = Annotated[
    str,
    PlainValidator(
        text(
            minimum=3,
            maximum=50,
            pattern=USERNAME,
            expected=N_("must consist of letters A-Z, digits, dots, hyphens and underscores"),
        )
    ),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 3,
            "maxLength": 50,
            "pattern": USERNAME,
            "examples": ["ana"],
        }
    ),
]
Role = Annotated[
    str,
    PlainValidator(one_of(ROLES)),
    WithJsonSchema({"enum": list(ROLES)}),
]
Password = Annotated[
    str,
    PlainValidator(text(minimum=8, maximum=128, strip=False)),
    WithJsonSchema(
        {
            "type": "string",
            "format": "password",
            "writeOnly": True,
            "minLength": 8,
            "maxLength": 128,
            "pattern": LINE,
        }
    ),
]
Description = Annotated[
    str,
    PlainValidator(text(minimum=0, maximum=1000, lines=True)),
    WithJsonSchema({"type": "string", "maxLength": 1000, "pattern": LINES}),
]
Price = Annotated[
    Decimal,
    PlainValidator(money),
    WithJsonSchema(
        {
            # Not multipleOf, which binary fractions fail: 1.1 is no multiple of 0.01 to them.
            "description": "An exact amount with at most two decimals, as text or as number; it"
            " leaves as text.",
            "anyOf": [
                {"type": "string", "pattern": MONEY},
                {"type": "number", "minimum": 0, "maximum": float(MAX_MONEY)},
            ],
            "examples": ["12.50"],
        }
    ),
]
Stock = Annotated[
    int,
    PlainValidator(integer(0, MAX_STOCK)),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MAX_STOCK}),
]
