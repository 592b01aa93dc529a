"""Lists in pieces: a table of a million rows must not be read into 160 MB."""

from __future__ import annotations

from collections.abc import Mapping

from webapp.validation import InvalidBodyError

DEFAULT_LIMIT = 50
MAX_LIMIT = 100
# MySQL walks over every row that it skips.
MAX_OFFSET = 1_000_000


def page_of(arguments: Mapping[str, str]) -> tuple[int, int]:
    """Read `limit` (1 to 100, default 50) and `offset` (0 to 1,000,000, default 0) of a query.

    Raises:
        InvalidBodyError: one is no such number.
    """
    errors = {}
    numbers = []
    for name, default, minimum, maximum in (
        ("limit", DEFAULT_LIMIT, 1, MAX_LIMIT),
        ("offset", 0, 0, MAX_OFFSET),
    ):
        given = arguments.get(name, str(default))
        number = int(given) if given.isdecimal() and len(given) <= 9 else -1
        if not minimum <= number <= maximum:
            errors[name] = f"must be a whole number from {minimum} to {maximum}"
        numbers.append(number)
    if errors:
        raise InvalidBodyError(errors)
    return numbers[0], numbers[1]
