"""Bodies of the API and of forms, in and out. OpenAPI is made from these classes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from webapp.fields import Description, Email, Name, Password, Price, Role, Stock, Username
from webapp.i18n import N_
from webapp.models import ROLES


class InvalidBodyError(Exception):
    """A body, form or query is well-formed, but not what is asked for.

    Attributes:
        errors: what is wrong, by field: a sentence with {names}, and their values.
    """

    def __init__(self, errors: Mapping[str, tuple[str, Mapping[str, Any]]]) -> None:
        """Remember the errors."""
        super().__init__("invalid body")
        self.errors = errors

    def texts(self) -> dict[str, str]:
        """Return the errors as text in English, by field."""
        return {name: text.format(**values) for name, (text, values) in self.errors.items()}


class Body(BaseModel):
    """A body that comes in. Unknown fields are refused: they are typing errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def check(cls, payload: Mapping[str, object]) -> dict[str, Any]:
        """Check the fields.

        Returns:
            The values of the fields that are there.

        Raises:
            InvalidBodyError: fields are missing, unknown or break their rule; all are told at once.
        """
        try:
            return cls.model_validate(dict(payload)).model_dump(exclude_unset=True)
        except ValidationError as error:
            raise InvalidBodyError(
                {
                    str(found["loc"][0]): _sentence(found["type"], found.get("ctx", {}))
                    for found in error.errors(include_url=False, include_input=False)
                }
            ) from None


def _sentence(kind: str, context: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if kind == "missing":
        return N_("missing"), {}
    if kind == "extra_forbidden":
        return N_("unknown field"), {}
    return context["template"], context["values"]


def _left_out() -> Any:
    """Return a field that may be left out: it is then not touched, so no default is ever seen."""
    return Field(default_factory=str)


class NewUser(Body):
    """An account to be made."""

    name: Name
    email: Email
    username: Username
    role: Role = _left_out()
    password: Password


class WholeUser(Body):
    """All of an account anew; a role or a password that is left out stays."""

    name: Name
    email: Email
    username: Username
    role: Role = _left_out()
    password: Password = _left_out()


class PartOfUser(Body):
    """What changes of an account."""

    name: Name = _left_out()
    email: Email = _left_out()
    username: Username = _left_out()
    role: Role = _left_out()
    password: Password = _left_out()


class NewPassword(Body):
    """A new password for the own account."""

    password: Password


class NewToken(Body):
    """A token to be made."""

    name: Name


class NewProduct(Body):
    """A product to be made; without description and stock it has none."""

    name: Name
    description: Description = _left_out()
    price: Price
    stock: Stock = _left_out()


class WholeProduct(Body):
    """All of a product anew."""

    name: Name
    description: Description
    price: Price
    stock: Stock


class PartOfProduct(Body):
    """What changes of a product."""

    name: Name = _left_out()
    description: Description = _left_out()
    price: Price = _left_out()
    stock: Stock = _left_out()


class Shown(BaseModel):
    """What a reader sees of a row."""

    id: Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1})]

    @classmethod
    def of(cls, row: object) -> dict[str, Any]:
        """Return the fields of a row that are shown, and no other."""
        return {name: getattr(row, name) for name in cls.model_fields}


class User(Shown):
    """An account, without its password."""

    name: str
    email: str
    username: str
    role: Annotated[str, WithJsonSchema({"enum": list(ROLES)})]
    version: int
    created_at: datetime
    updated_at: datetime


class Product(Shown):
    """A product."""

    name: str
    description: str
    price: Annotated[
        str,
        WithJsonSchema({"type": "string", "pattern": r"^\d+\.\d{2}$", "examples": ["12.50"]}),
    ]
    stock: int
    version: int
    created_at: datetime
    updated_at: datetime


class Change(Shown):
    """Who changed what: the fields that changed, before and after. A password is never shown."""

    created_at: datetime
    user_id: int | None
    username: str
    action: Annotated[str, WithJsonSchema({"enum": ["add", "change", "delete"]})]
    kind: Annotated[str, WithJsonSchema({"enum": ["user", "product", "token"]})]
    row_id: int
    name: str
    old_values: dict[str, Any]
    new_values: dict[str, Any]


class Problem(BaseModel):
    """What went wrong (RFC 9457), and by field where fields are wrong."""

    type: str
    title: str
    status: int
    detail: str
    errors: dict[str, str]
