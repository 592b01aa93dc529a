"""The pages' languages: Spanish and English, as the browser asks; Spanish when it asks for neither.

The texts in code and templates are English, the Spanish ones in translations/es. Errors of the API
are English always: programs read them, and their authors.
"""

from __future__ import annotations

from decimal import Decimal

from flask import Flask, Response, request
from flask_babel import Babel, get_locale
from flask_babel import format_currency as babel_currency

LANGUAGES = ("es", "en")
CURRENCY = "EUR"


def N_(text: str) -> str:  # noqa: N802 - gettext's name, by which pybabel extracts
    """Mark a text for translation where it stands; it is translated where it is shown."""
    return text


def _language() -> str:
    chosen: str = request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]
    return chosen


def money(amount: Decimal) -> str:
    """Return an amount as the reader writes it: 12,50 € or €12.50."""
    return str(babel_currency(amount, CURRENCY))


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
    app.jinja_env.globals["language"] = lambda: str(get_locale())

    @app.after_request
    def tell(response: Response) -> Response:
        if response.mimetype == "text/html":
            response.content_language.clear()
            response.content_language.add(str(get_locale() or LANGUAGES[0]))
            response.vary.add("Accept-Language")
        return response
