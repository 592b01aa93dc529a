"""The pages as people use them: in both languages, in large and small windows, without scripts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import DESK, PHONE, Visit, Visitor

WAYS = pytest.mark.parametrize(
    "way",
    [
        {"scheme": "https", "language": "es", "window": DESK},
        {"scheme": "http", "language": "en", "window": PHONE, "scripts": False},
    ],
    ids=["https-spanish-desk", "http-english-phone-without-scripts"],
)


def heading(visitor: Visitor, text: str) -> None:
    """Wait for the page with this heading."""
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(text)


def delete(visitor: Visitor, name: str, kind: str) -> None:
    """Delete a row, after thinking better of it once."""
    row = visitor.page.get_by_role("row").filter(has_text=name)
    question = f"Delete “{name}”?" if visitor.words == {} else f"¿Eliminar «{name}»?"
    for answer in ("Cancel", "Delete"):
        row.get_by_role("link", name=visitor.say("Delete")).click()
        heading(visitor, question)
        main = visitor.page.get_by_role("main")
        expect(main).to_contain_text(visitor.say("It cannot be brought back."))
        visitor.picture("delete")
        if answer == "Cancel":
            main.get_by_role("link", name=visitor.say("Cancel"), exact=True).click()
            heading(visitor, visitor.say(kind))
            assert visitor.listed(name)
    visitor.press("Delete")
    expect(visitor.page.get_by_role("status")).to_contain_text(name)
    assert not visitor.listed(name)


@WAYS
def test_a_user_is_added_edited_and_deleted(visit: Visit, unique: str, way: dict[str, Any]) -> None:
    visitor = visit(**way)
    visitor.look("/users")
    # Who is not signed in is asked to, and gets to where they wanted to go.
    heading(visitor, visitor.say("Sign in"))
    visitor.fill(Username="admin", Password=visitor.password)
    visitor.press("Sign in")
    heading(visitor, visitor.say("Users"))

    name, changed = f"Ana {unique}", f"Ána María {unique}"
    visitor.follow("New user")
    visitor.fill(Name=name, Username=f"ana-{unique}", Password="unmistakable lamp")
    visitor.fill(**{"E-mail": f"{unique}@example.com"})
    visitor.press("Add")
    expect(visitor.page.get_by_role("status")).to_contain_text(name)
    visitor.look(f"/users?q={unique}")
    assert visitor.listed(name)
    assert "unmistakable" not in visitor.page.content()

    visitor.page.get_by_role("row").filter(has_text=name).get_by_role(
        "link", name=visitor.say("Edit")
    ).click()
    visitor.fill(Name=changed)
    visitor.picture("edit")
    visitor.press("Save")
    expect(visitor.page.get_by_role("status")).to_contain_text(changed)
    visitor.look(f"/users?q={unique}")
    assert visitor.listed(changed)
    visitor.picture("list")
    assert visitor.fits()

    delete(visitor, changed, "Users")
    visitor.page.get_by_role("button", name=visitor.say("Sign out")).click()
    heading(visitor, visitor.say("Products"))
    visitor.look("/users")
    heading(visitor, visitor.say("Sign in"))


@WAYS
def test_a_product_is_added_edited_and_deleted(
    visit: Visit, unique: str, way: dict[str, Any]
) -> None:
    visitor = visit(**way)
    visitor.sign_in()
    visitor.page.get_by_role("link", name=visitor.say("Products"), exact=True).click()
    heading(visitor, visitor.say("Products"))
    name = f"Té {unique}"
    visitor.follow("New product")
    visitor.fill(Name=name, Description="Hojas <b>enteras</b>", Price_in_euros="1234,5", Stock="3")
    visitor.press("Add")
    expect(visitor.page.get_by_role("status")).to_contain_text(name)

    visitor.look(f"/products?q={unique}")
    row = visitor.page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("Hojas <b>enteras</b>")
    expect(row).to_contain_text("1.234,50" if way["language"] == "es" else "€1,234.50")
    row.get_by_role("link", name=visitor.say("Edit")).click()
    visitor.fill(Stock="7")
    visitor.press("Save")
    visitor.look(f"/products?q={unique}")
    expect(row.locator("td").filter(has_text=re.compile("^7$"))).to_be_visible()
    visitor.picture("list")
    assert visitor.fits()

    delete(visitor, name, "Products")


@pytest.mark.parametrize("language", ["es", "en"])
def test_a_mistake_keeps_what_was_typed_and_says_what_is_wrong(
    visit: Visit, unique: str, language: str
) -> None:
    visitor = visit("https", language, PHONE)
    visitor.expected.add(422)
    visitor.sign_in()
    visitor.look("/users/new")
    visitor.fill(Name="Somebody", Username=f"u-{unique}", Password="unmistakable lamp")
    # The browser thinks that this is an address; the application does not.
    visitor.fill(**{"E-mail": "somebody@localhost"})
    visitor.press("Add")
    expect(visitor.page.get_by_role("alert")).to_have_text(
        visitor.say("Not saved: some fields are not right.")
    )
    field = visitor.page.get_by_label(visitor.say("E-mail"), exact=True)
    expect(field).to_have_value("somebody@localhost")
    # It is where the next key goes, and in sight.
    expect(field).to_be_focused()
    expect(field).to_be_in_viewport()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(
        visitor.say("must be an address like ana@example.com")
    )
    expect(visitor.page.get_by_label(visitor.say("Name"), exact=True)).to_have_value("Somebody")
    # A password never travels back.
    expect(visitor.page.get_by_label(visitor.say("Password"), exact=True)).to_have_value("")
    visitor.picture("mistake")
    assert visitor.fits()


def test_a_wrong_password_is_told_and_the_name_stays(visit: Visit) -> None:
    visitor = visit("http", "es")
    visitor.expected.add(401)
    visitor.sign_in("wrong password")
    expect(visitor.page.get_by_role("main")).to_contain_text(
        visitor.say("Username or password is wrong.")
    )
    expect(visitor.page.get_by_label("Usuario", exact=True)).to_have_value("admin")
    visitor.picture("wrong")
    visitor.fill(Password=visitor.password)
    visitor.press("Sign in")
    heading(visitor, "Productos")


@pytest.mark.parametrize(
    ("language", "window"), [("es", PHONE), ("en", DESK)], ids=["spanish-phone", "english-desk"]
)
def test_every_page_is_for_everybody(
    visit: Visit, unique: str, language: str, window: tuple[int, int]
) -> None:
    """axe-core finds no fault, the language is told, and nothing needs scrolling sideways."""
    visitor = visit("https", language, window)
    visitor.expected.add(404)
    visitor.sign_in()
    visitor.look("/products/new")
    visitor.fill(Name=f"Té {unique}", Price_in_euros="1", Stock="1")
    visitor.press("Add")
    visitor.page.get_by_role("button", name=visitor.say("Sign out")).click()
    visitor.look("/login")
    pages = {"login": "/login", "products": "/products", "none": "/nothing", "api": "/api/docs"}
    signed_in = {
        "users": "/users",
        "own products": "/products",
        "new product": "/products/new",
        "new user": "/users/new",
        "changes": "/changes",
        "profile": "/profile",
        "edit": "/users",
        "delete": "/products",
    }
    for name, path in {**pages, **signed_in}.items():
        if name == "users":
            visitor.sign_in()
        visitor.look(path)
        if name in {"edit", "delete"}:
            visitor.page.get_by_role("row").get_by_role(
                "link", name=visitor.say(name.capitalize())
            ).first.click()
        assert visitor.page.locator("html").get_attribute("lang") == language
        found = Axe().run(visitor.page)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
        assert visitor.fits(), name
        visitor.picture(name.replace(" ", "-"))


def test_the_keyboard_alone_is_enough_to_sign_in(visit: Visit) -> None:
    visitor = visit("https", "en")
    visitor.look("/login")
    order: list[str] = []
    while "password" not in order and len(order) < 12:
        visitor.page.keyboard.press("Tab")
        order.append(
            visitor.page.evaluate("document.activeElement.id || document.activeElement.textContent")
        )
    # First past the navigation for those who want that, then in the order in which one reads.
    assert order == [
        "Skip to the content", "Web application", "Products", "API", "username", "password",
    ]  # fmt: skip
    visitor.page.get_by_label("Username", exact=True).focus()
    visitor.page.keyboard.type("admin")
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.type(visitor.password)
    visitor.page.keyboard.press("Enter")
    heading(visitor, "Products")


def test_paper_has_no_buttons(visit: Visit) -> None:
    visitor = visit("https")
    visitor.sign_in()
    visitor.look("/products")
    button = visitor.page.get_by_role("button").first
    expect(button).to_be_visible()
    visitor.page.emulate_media(media="print")
    for what in ("button", ".actions", ".search", "nav"):
        for part in visitor.page.locator(what).all():
            expect(part).to_be_hidden()
    heading(visitor, visitor.say("Products"))
