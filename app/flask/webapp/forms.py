"""Forms of the pages: what a browser sends, checked by the same classes as the API's bodies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import request
from flask_babel import gettext

from webapp.db import DuplicateError
from webapp.i18n import N_
from webapp.schemas import Body, InvalidBodyError

TAKEN = N_("There is one with this value already.")


@dataclass
class Form:
    """A form as it was typed, and what is wrong with it.

    Attributes:
        values: the text of each field; never a password.
        errors: what is wrong, by field, in the reader's language.
    """

    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Any, names: tuple[str, ...]) -> Form:
        """Return a form that shows a row."""
        return cls({name: str(getattr(row, name)) for name in names})

    @classmethod
    def sent(cls, names: tuple[str, ...]) -> Form:
        """Return the form that the request carries."""
        return cls({name: request.form.get(name, "") for name in names if name != "password"})

    def fail(self, error: InvalidBodyError | DuplicateError) -> None:
        """Take over what is wrong."""
        if isinstance(error, DuplicateError):
            self.errors[error.field] = gettext(TAKEN)
            return
        for name, (text, values) in error.errors.items():
            self.errors[name] = gettext(text).format(**values)


def check(body: type[Body], names: tuple[str, ...]) -> dict[str, Any]:
    """Check the form that the request carries.

    Args:
        body: the class of the API for the same change.
        names: the form's fields; whatever else was sent does not count.

    Raises:
        InvalidBodyError: fields are missing or break their rule.
    """
    return body.check(_values(request.form, names))


def _values(sent: Mapping[str, str], names: tuple[str, ...]) -> dict[str, object]:
    """Return the fields as JSON would have them."""
    values: dict[str, object] = {}
    for name in names:
        text = sent.get(name, "")
        if name == "password" and not text:
            # An empty field means: as it is. Where there is none yet, it is missing.
            continue
        # A browser sends line breaks as CR LF.
        text = text.replace("\r\n", "\n")
        if name == "price":
            # 12,50 is how an amount is written in Spanish.
            values[name] = text.strip().replace(",", ".")
        elif name == "stock":
            number = re.fullmatch(r"[0-9]{1,10}", text.strip())
            values[name] = int(text) if number else text.strip()
        else:
            values[name] = text
    return values
