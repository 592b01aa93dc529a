"""The page of the own account: its password, its tokens, its sessions."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from werkzeug.exceptions import NotFound

from webapp import accounts, auth, forms, schemas, store
from webapp.forms import Form
from webapp.i18n import N_
from webapp.models import User
from webapp.pages import guard, too_many
from webapp.schemas import InvalidBodyError

blueprint = Blueprint("own", __name__, url_prefix="/profile")
blueprint.before_request(guard)


def _user() -> User:
    """Return who asks; the pages' guard has let nobody else through."""
    user = auth.current_user()
    if user is None:
        raise NotFound
    return user


def _show(
    form: Form | None = None, token_form: Form | None = None, token: str = "", status: int = 200
) -> ResponseReturnValue:
    page = render_template(
        "profile.html",
        form=form or Form(),
        token_form=token_form or Form(),
        token=token,
        tokens=store.tokens(_user()),
    )
    return page, status


@blueprint.get("")
def profile() -> ResponseReturnValue:
    """The own account."""
    return _show()


@blueprint.post("/password")
def change_password() -> ResponseReturnValue:
    """Change the own password, for somebody who knows the one of now."""
    user, form = _user(), Form()
    current = request.form.get("current", "")
    try:
        values = forms.check(schemas.NewPassword, ("password",))
        if accounts.check(user.username, current, request.remote_addr or "") is None:
            form.errors["current"] = gettext(N_("This is not your password."))
            return _show(form, status=422)
        store.change_password(user, values["password"])
    except InvalidBodyError as error:
        form.fail(error)
        return _show(form, status=422)
    except accounts.TooManyTriesError as error:
        form.errors["current"] = too_many(error)
        return _show(form, status=429)
    flash(gettext(N_("Your password was changed. Your other sessions have ended.")))
    return redirect(url_for("own.profile"), 303)


@blueprint.post("/tokens")
def add_token() -> ResponseReturnValue:
    """Make a token and show it, this once."""
    try:
        name = forms.check(schemas.NewToken, ("name",))["name"]
    except InvalidBodyError as error:
        form = Form.sent(("name",))
        form.fail(error)
        return _show(token_form=form, status=422)
    # In the answer itself, which nobody keeps: a redirect would carry it in a cookie.
    return _show(token=store.add_token(_user(), name))


@blueprint.post("/tokens/<id:row_id>/delete")
def delete_token(row_id: int) -> ResponseReturnValue:
    """Take a token back."""
    name = store.delete_token(_user(), row_id)
    flash(gettext(N_("“%(name)s” was deleted."), name=name))
    return redirect(url_for("own.profile"), 303)


@blueprint.post("/sign-out-everywhere")
def sign_out_everywhere() -> ResponseReturnValue:
    """End all sessions of the account."""
    auth.sign_out_everywhere(_user())
    flash(gettext(N_("You are signed out everywhere.")))
    return redirect(url_for("pages.products"), 303)
