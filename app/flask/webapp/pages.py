"""The pages that people look at; they work without JavaScript."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webapp import accounts, auth, forms, listing, schemas, store
from webapp.db import DuplicateError
from webapp.forms import Form
from webapp.i18n import N_
from webapp.listing import Listing, Page, Query
from webapp.schemas import Body, InvalidBodyError

blueprint = Blueprint("pages", __name__)

# Of a list's page; the API has 50.
PER_PAGE = "25"
# What everybody may look at.
OPEN = frozenset({"pages.products", "pages.login", "pages.login_form"})


@dataclass(frozen=True)
class Table:
    """The pages of a table: a list with a form to add, a form to edit, and a question to delete.

    Attributes:
        name: the list's endpoint, and its template.
        listing: what can be asked of the table.
        fields: of its forms.
        new: what the form to add is checked with.
        whole: what the form to edit is checked with.
    """

    name: str
    listing: Listing
    fields: tuple[str, ...]
    new: type[Body]
    whole: type[Body]

    def show(self, form: Form | None = None, status: int = 200) -> ResponseReturnValue:
        """Show the list, with the form to add."""
        arguments = {"per_page": PER_PAGE, **request.args}
        try:
            query = self.listing.query(arguments)
        except InvalidBodyError:
            if request.method == "GET":
                raise
            query = Query()
        page = store.page(self.listing, query)
        content = render_template(f"{self.name}.html", page=page, form=form or Form(), table=self)
        return content, status

    def add(self) -> ResponseReturnValue:
        """Add what the form holds, or show the form again with what is wrong."""
        try:
            row: Any = store.add(self.listing.model, forms.check(self.new, self.fields))
        except (InvalidBodyError, DuplicateError) as error:
            form = Form.sent(self.fields)
            form.fail(error)
            return self.show(form, 422)
        flash(gettext(N_("“%(name)s” was added."), name=row.name))
        return self.back()

    def edit(self, row_id: int) -> ResponseReturnValue:
        """Show a row's form, or take it; a password that is left empty stays."""
        row: Any = store.get(self.listing.model, row_id)
        form = Form.of(row, tuple(name for name in self.fields if name != "password"))
        status = 200
        if request.method == "POST":
            try:
                values = forms.check(self.whole, self.fields)
                row = store.change(self.listing.model, row_id, values)
                flash(gettext(N_("“%(name)s” was saved."), name=row.name))
                return self.back()
            except (InvalidBodyError, DuplicateError) as error:
                form = Form.sent(self.fields)
                form.fail(error)
                status = 422
        return render_template("edit.html", row=row, form=form, table=self), status

    def delete(self, row_id: int) -> ResponseReturnValue:
        """Ask whether a row is to be deleted, and delete it on yes."""
        row: Any = store.get(self.listing.model, row_id)
        if request.method == "GET":
            return render_template("delete.html", row=row, table=self)
        store.delete(self.listing.model, row_id)
        flash(gettext(N_("“%(name)s” was deleted."), name=row.name))
        return self.back()

    def back(self) -> ResponseReturnValue:
        """Go to the list."""
        return redirect(url_for(f"pages.{self.name}"), 303)

    def address(self, shown: Page, /, **changes: object) -> str:
        """Return the address of the list with the search of now and some changes."""
        query = shown.query
        now = {"q": query.q, "sort": query.sort, "per_page": query.per_page, **changes}
        usual = {"q": "", "sort": "id", "per_page": int(PER_PAGE), "page": 1}
        rest = {name: value for name, value in now.items() if value != usual.get(name)}
        return url_for(f"pages.{self.name}") + ("?" + urlencode(rest) if rest else "")


USERS = Table(
    "users",
    listing.users,
    ("name", "email", "username", "password"),
    schemas.NewUser,
    schemas.WholeUser,
)
PRODUCTS = Table(
    "products",
    listing.products,
    ("name", "description", "price", "stock"),
    schemas.NewProduct,
    schemas.WholeProduct,
)


@blueprint.before_request
def guard() -> ResponseReturnValue | None:
    """Send whoever is not signed in to the login, and refuse a form without its token."""
    changes = request.method not in auth.SAFE_METHODS
    # Pages for everybody show who is signed in, too.
    user = auth.current_user()
    if user is None and request.endpoint not in OPEN:
        here = None if changes else request.full_path.rstrip("?")
        return redirect(url_for("pages.login_form", next=here), 303)
    if changes:
        auth.csrf.protect()
    return None


@blueprint.get("/")
def users() -> ResponseReturnValue:
    """The accounts."""
    return USERS.show()


@blueprint.post("/")
def add_user() -> ResponseReturnValue:
    """A new account."""
    return USERS.add()


@blueprint.route("/edit/<id:row_id>", methods=["GET", "POST"])
def edit_user(row_id: int) -> ResponseReturnValue:
    """One account."""
    return USERS.edit(row_id)


@blueprint.route("/delete/<id:row_id>", methods=["GET", "POST"])
def delete_user(row_id: int) -> ResponseReturnValue:
    """The end of an account."""
    return USERS.delete(row_id)


@blueprint.get("/products")
def products() -> ResponseReturnValue:
    """The products, for everybody."""
    return PRODUCTS.show()


@blueprint.post("/products")
def add_product() -> ResponseReturnValue:
    """A new product."""
    return PRODUCTS.add()


@blueprint.route("/edit_product/<id:row_id>", methods=["GET", "POST"])
def edit_product(row_id: int) -> ResponseReturnValue:
    """One product."""
    return PRODUCTS.edit(row_id)


@blueprint.route("/delete_product/<id:row_id>", methods=["GET", "POST"])
def delete_product(row_id: int) -> ResponseReturnValue:
    """The end of a product."""
    return PRODUCTS.delete(row_id)


@blueprint.get("/login")
def login_form() -> ResponseReturnValue:
    """The form to sign in."""
    if auth.current_user():
        return redirect(_next(), 303)
    return render_template("login.html", form=Form(), next=_next())


@blueprint.post("/login")
def login() -> ResponseReturnValue:
    """Sign in, and go to where one wanted to go."""
    name, password = request.form.get("username", ""), request.form.get("password", "")
    form = Form({"username": name})
    try:
        user = accounts.check(name, password, request.remote_addr or "")
    except accounts.TooManyTriesError as error:
        form.errors["username"] = gettext(
            N_("Too many attempts. Wait %(seconds)s seconds, then try again."), seconds=error.wait
        )
        page = render_template("login.html", form=form, next=_next())
        return page, 429, {"Retry-After": str(error.wait)}
    if user is None:
        form.errors["username"] = gettext(N_("Username or password is wrong."))
        return render_template("login.html", form=form, next=_next()), 401
    auth.sign_in(user)
    return redirect(_next(), 303)


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    """Sign out."""
    auth.sign_out()
    return redirect(url_for("pages.products"), 303)


def _next() -> str:
    """Return where to go after the login: a path of this application, never another server."""
    wanted = request.values.get("next", "")
    # Browsers take a backslash for a slash, and skip tabs and line breaks: "/\t/evil" is "//evil".
    local = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted
    return wanted if local and wanted.isprintable() else url_for("pages.users")
