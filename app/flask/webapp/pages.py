"""The pages that people look at; they work without JavaScript."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from werkzeug.exceptions import Forbidden, NotFound

from webapp import accounts, auth, forms, i18n, listing, schemas, store
from webapp.db import DuplicateError
from webapp.forms import Form
from webapp.i18n import N_
from webapp.listing import Listing, Page
from webapp.models import ADMIN, EDITOR, VIEWER, Record
from webapp.schemas import Body, InvalidBodyError

blueprint = Blueprint("pages", __name__)

# Of a list's page; the API has 50.
PER_PAGE = "25"
# What everybody may look at, and the role that the other pages need.
OPEN = frozenset({"root", "products", "login", "login_form", "logout", "language"})
NEEDED = {
    "new_product": EDITOR,
    "edit_product": EDITOR,
    "delete_product": EDITOR,
    "export_products": VIEWER,
    "import_products": EDITOR,
    "import_file": EDITOR,
    "export_users": ADMIN,
    "users": ADMIN,
    "new_user": ADMIN,
    "edit_user": ADMIN,
    "delete_user": ADMIN,
    "changes": ADMIN,
    "profile": VIEWER,
    "change_password": VIEWER,
    "add_token": VIEWER,
    "delete_token": VIEWER,
    "sign_out_everywhere": VIEWER,
}
# What of a list's address is kept through an edit.
STATE = ("q", "sort", "page", "per_page")


@dataclass(frozen=True)
class Table:
    """The pages of a table: a list, a form for a new row, one to edit, a question to delete.

    Attributes:
        name: the list's endpoint, and its template.
        listing: what can be asked of the table.
        fields: of its forms.
        new: what the form to add is checked with.
        whole: what the form to edit is checked with.
    """

    name: str
    listing: Listing[Record]
    fields: tuple[str, ...]
    new: type[Body]
    whole: type[Body]

    def show(self) -> ResponseReturnValue:
        """Show the list."""
        return show_list(self.name, self.listing, table=self)

    def add(self) -> ResponseReturnValue:
        """Show an empty form, or add what it holds."""
        form, status = Form(), 200
        if request.method == "POST":
            key = request.form.get("key", "")
            try:
                values = forms.check(self.new, self.fields)
                row: Any = store.add(self.listing.model, values, key)
            except (InvalidBodyError, DuplicateError) as error:
                form, status = Form.sent(self.fields), 422
                form.fail(error)
            except store.RepeatedError:
                # A second click: the first one has added it.
                return self.back()
            else:
                flash(gettext(N_("“%(name)s” was added."), name=row.name))
                return self.back()
        page = render_template("new.html", form=form, table=self, key=secrets.token_hex(16))
        return page, status

    def edit(self, row_id: int) -> ResponseReturnValue:
        """Show a row's form, or take it; a password that is left empty stays."""
        row: Any = store.get(self.listing.model, row_id)
        fields = self.fields
        if self.is_own(row_id):
            # The own one is changed where the current one is asked for.
            fields = tuple(name for name in fields if name != "password")
        form, status = Form.of(row, fields), 200
        if request.method == "POST":
            try:
                values = forms.check(self.whole, fields)
                row = store.change(self.listing.model, row_id, values, _same_version())
            except (InvalidBodyError, DuplicateError) as error:
                form, status = Form.sent(fields), 422
                form.fail(error)
            except store.StaleError as error:
                row, form, status = error.row, Form.sent(fields), 409
                form.conflict(Form.of(row, fields))
            else:
                flash(gettext(N_("“%(name)s” was saved."), name=row.name))
                return self.back()
        return render_template("edit.html", row=row, form=form, table=self), status

    def delete(self, row_id: int) -> ResponseReturnValue:
        """Ask whether a row is to be deleted, and delete it on yes."""
        row: Any = store.get(self.listing.model, row_id)
        status = 200
        if request.method == "POST":
            try:
                store.delete(self.listing.model, row_id, _same_version())
            except store.StaleError as error:
                row, status = error.row, 409
            else:
                flash(gettext(N_("“%(name)s” was deleted."), name=row.name))
                return self.back()
        return render_template("delete.html", row=row, table=self, stale=status == 409), status

    def is_own(self, row_id: int) -> bool:
        """Return whether a row is the account that asks."""
        user = auth.current_user()
        return self.name == "users" and user is not None and user.id == row_id

    def back(self) -> ResponseReturnValue:
        """Go to the list as it was left."""
        return redirect(self.home, 303)

    @property
    def home(self) -> str:
        """The address of the list as it was left."""
        state = dict(parse_qsl(request.args.get("list", "")))
        return _address(self.name, {name: state[name] for name in STATE if name in state})

    def address(self, shown: Page, /, **changes: object) -> str:
        """Return the address of the list with the search of now and some changes."""
        return _address(self.name, _state(shown, self.listing.usual, **changes))

    def leave(self, shown: Page, endpoint: str, **values: Any) -> str:
        """Return the address of a page that comes back to the list as it is."""
        state = urlencode(_state(shown, self.listing.usual, page=shown.query.page))
        return url_for(f"pages.{endpoint}", **values, list=state or None)


def _state(shown: Page, usual: str, **changes: object) -> dict[str, object]:
    """Return what makes a list's address: what differs from the usual."""
    query = shown.query
    now = {"q": query.q, "sort": query.sort, "per_page": query.per_page, **changes}
    plain = {"q": "", "sort": usual, "per_page": int(PER_PAGE), "page": 1}
    return {name: value for name, value in now.items() if value != plain.get(name)}


def _address(name: str, query: Mapping[str, object]) -> str:
    return url_for(f"pages.{name}") + ("?" + urlencode(query) if query else "")


def show_list(name: str, shown: Listing[Any], **more: object) -> ResponseReturnValue:
    """Show a page of a list; one beyond the last leads to the last."""
    page = store.page(shown, shown.query({"per_page": PER_PAGE, **request.args}))
    if page.query.page > page.pages:
        return redirect(_address(name, _state(page, shown.usual, page=page.pages)), 303)
    return render_template(f"{name}.html", page=page, **more)


def _same_version() -> store.Fits:
    """Return what tells whether a row still is what the form was made from."""
    seen = request.form.get("version", "")
    return lambda version: seen == str(version)


USERS = Table(
    "users",
    listing.users,
    ("name", "email", "username", "role", "password"),
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


@dataclass(frozen=True)
class History:
    """The list of changes, as far as the templates of lists need it."""

    name: str = "changes"

    def address(self, shown: Page, /, **changes: object) -> str:
        """Return the address of the list with the search of now and some changes."""
        return _address(self.name, _state(shown, listing.changes.usual, **changes))


@blueprint.before_request
def guard() -> ResponseReturnValue | None:
    """Send whoever is not signed in to the login; refuse a form without its token, and a role."""
    changes = request.method not in auth.SAFE_METHODS
    page = (request.endpoint or "").rpartition(".")[2]
    # Pages for everybody show who is signed in, too.
    user = auth.current_user()
    if user is None and page not in OPEN:
        here = None if changes else request.full_path.rstrip("?")
        return redirect(url_for("pages.login_form", next=here), 303)
    if changes:
        auth.csrf.protect()
    if user is not None and page not in OPEN and not user.may(NEEDED[page]):
        raise Forbidden
    return None


@blueprint.get("/")
def root() -> ResponseReturnValue:
    """The products."""
    return redirect(url_for("pages.products"), 303)


@blueprint.get("/users")
def users() -> ResponseReturnValue:
    """The accounts."""
    return USERS.show()


@blueprint.route("/users/new", methods=["GET", "POST"])
def new_user() -> ResponseReturnValue:
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


@blueprint.route("/products/new", methods=["GET", "POST"])
def new_product() -> ResponseReturnValue:
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


@blueprint.get("/changes")
def changes() -> ResponseReturnValue:
    """Who changed what."""
    return show_list("changes", listing.changes, table=History())


@blueprint.get("/language/<code>")
def language(code: str) -> ResponseReturnValue:
    """Speak another language from now on."""
    if code not in i18n.LANGUAGES:
        raise NotFound
    answer = redirect(_next(), 303)
    # Not Secure over HTTPS: nothing is secret in it, and HTTP could not change it then.
    answer.set_cookie(i18n.COOKIE, code, max_age=365 * 24 * 3600, httponly=True, samesite="Lax")
    return answer


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
        form.errors["username"] = too_many(error)
        page = render_template("login.html", form=form, next=_next())
        return page, 429, {"Retry-After": str(error.wait)}
    if user is None:
        form.errors["username"] = gettext(N_("Username or password is wrong."))
        return render_template("login.html", form=form, next=_next()), 401
    auth.sign_in(user)
    return redirect(_next(), 303)


def too_many(error: accounts.TooManyTriesError) -> str:
    """Return what somebody reads who has to wait."""
    sentence = N_("Too many attempts. Wait %(seconds)s seconds, then try again.")
    return str(gettext(sentence, seconds=error.wait))


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
    return wanted if local and wanted.isprintable() else url_for("pages.products")
