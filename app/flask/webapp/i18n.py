"""The pages' languages: Spanish and English, as the browser asks; Spanish when it asks for neither.

The texts in code and templates are English, the Spanish ones in translations/es. Errors of the API
are English always: programs read them, and their authors.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from babel.numbers import NumberFormatError, parse_decimal
from flask import Flask, Response, request
from flask_babel import Babel, format_datetime, format_decimal, get_locale
from flask_babel import format_currency as babel_currency

LANGUAGES = ("es", "en")
NAMES = {"es": "Español", "en": "English"}
# Remembers what somebody has chosen, whatever the browser asks for.
COOKIE = "language"
CURRENCY = "EUR"


def N_(text: str) -> str:  # noqa: N802 - gettext's name, by which pybabel extracts
    """Mark a text for translation where it stands; it is translated where it is shown."""
    return text


def _language() -> str:
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    return request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]


def money(amount: Decimal) -> str:
    """Return an amount as the reader writes it: 12,50 € or €12.50."""
    return str(babel_currency(amount, CURRENCY))


def plain_money(amount: Decimal) -> str:
    """Return an amount as the reader types it: 1234,50 or 1234.50."""
    return str(format_decimal(amount, "0.00"))


def typed_money(text: str) -> str:
    """Return an amount that somebody has typed as a program would write it.

    As the reader's language writes it, with or without its grouping (1.234,50), or with a point or
    comma for the decimals. What is none comes back as it is.
    """
    text = text.strip()
    try:
        return str(parse_decimal(text, locale=get_locale(), strict=True))
    except NumberFormatError:
        return text.replace(",", ".")


def moment(time: datetime) -> str:
    """Return a time of the database, which is in UTC, as the reader writes it."""
    return f"{format_datetime(time, 'd MMM y, HH:mm')} UTC"


def init_app(app: Flask, translations: str) -> None:
    """Set up the languages.

    Args:
        app: the application.
        translations: the directory of the compiled catalogues, absolute or beside this module.
    """
    # English needs no catalogue; asked for it, Babel must not fall back to Spanish.
    Babel(
        app,
        locale_selector=_language,
        default_locale="en",
        default_translation_directories=translations,
    )
    app.jinja_env.filters["money"] = money
    app.jinja_env.filters["moment"] = moment
    app.jinja_env.globals["languages"] = NAMES
    app.jinja_env.globals["language"] = lambda: str(get_locale())

    @app.after_request
    def tell(response: Response) -> Response:
        if response.mimetype == "text/html":
            response.content_language.clear()
            response.content_language.add(str(get_locale() or LANGUAGES[0]))
            response.vary.update(("Accept-Language", "Cookie"))
        return response
