r"""A browser, the pages it opens, and what must be true of each page whatever a test does.

The host is testinfra's; Molecule's scenarios stack and webapp pass their own. For another one:

    ./lab run pytest tests/browser --sudo --hosts=ssh://labstack-lab-ec2 \
        --ssh-config=.lab/ssh_config
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright
from playwright.sync_api import Request as SentRequest

from tests.browser.chromium import executable
from tests.on_host import address, admin_password

__all__ = ["address", "admin_password"]

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / ".lab" / "test" / "screenshots"
PHONE = (360, 640)
DESK = (1280, 800)
TIMEOUT = 10_000  # milliseconds


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser for all tests; each has a session of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable(),
            # Tests run as root in CI, where Chromium's sandbox refuses to start.
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()


@dataclass
class Visitor:
    """Somebody with a browser window.

    Attributes:
        page: the window.
        base: scheme and address of the application.
        password: of the account `admin`.
        name: of the screenshots.
        words: what the pages say, in the visitor's language, by its English.
        complaints: what the browser had to say about pages, and requests to elsewhere.
    """

    page: Page
    base: str
    password: str
    name: str
    words: dict[str, str]
    complaints: list[str] = field(default_factory=list)
    # Answers that a test provokes.
    expected: set[int] = field(default_factory=set)

    def say(self, english: str) -> str:
        """Return what the page says for this."""
        return self.words.get(english, english)

    def look(self, path: str) -> None:
        """Open a page by its address."""
        self.page.goto(self.base + path)

    def fill(self, **fields: str) -> None:
        """Type into fields, found by their labels."""
        for label, text in fields.items():
            self.page.get_by_label(self.say(label.replace("_", " ")), exact=True).fill(text)

    def press(self, button: str) -> None:
        """Press the button of the page's main part."""
        self.page.get_by_role("main").get_by_role(
            "button", name=self.say(button), exact=True
        ).click()

    def sign_in(self, password: str | None = None) -> None:
        """Sign in as the administrator, or try."""
        self.look("/login")
        self.fill(Username="admin", Password=password or self.password)
        self.press("Sign in")

    def follow(self, link: str) -> None:
        """Follow a link of the page's main part."""
        self.page.get_by_role("main").get_by_role("link", name=self.say(link), exact=True).click()

    def listed(self, name: str) -> bool:
        """Return whether the list's page shows this name."""
        return self.page.get_by_role("cell", name=name).count() > 0

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page."""
        self.page.screenshot(path=SCREENSHOTS / f"{self.name}-{name}.png", full_page=True)

    def fits(self) -> bool:
        """Return whether nothing has to be scrolled sideways."""
        return bool(
            self.page.evaluate(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            )
        )


SPANISH = {
    "Add": "Añadir",
    "Cancel": "Cancelar",
    "Delete": "Eliminar",
    "Description": "Descripción",
    "E-mail": "Correo electrónico",
    "Edit": "Editar",
    "It cannot be brought back.": "No se podrá recuperar.",
    "Name": "Nombre",
    "New product": "Producto nuevo",
    "New user": "Usuario nuevo",
    "Not saved: some fields are not right.": "No se ha guardado: hay campos incorrectos.",
    "Password": "Contraseña",
    "Price in euros": "Precio en euros",
    "Products": "Productos",
    "Save": "Guardar",
    "Sign in": "Iniciar sesión",
    "Sign out": "Cerrar sesión",
    "Stock": "Existencias",
    "Username": "Usuario",
    "Username or password is wrong.": "El usuario o la contraseña no son correctos.",
    "Users": "Usuarios",
    "must be an address like ana@example.com": "debe ser una dirección como ana@example.com",
}

Visit = Callable[..., Visitor]


@pytest.fixture
def visit(
    browser: Browser, address: str, admin_password: str, request: pytest.FixtureRequest
) -> Iterator[Visit]:
    """Open a window: visit("https", language="en", window=PHONE, scripts=False).

    Afterwards: no page asked another origin for anything, broke its Content-Security-Policy, wrote
    an error to the console, or was answered with an error that the test did not expect.
    """
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    opened: list[tuple[BrowserContext, Visitor]] = []

    def start(
        scheme: str = "https",
        language: str = "es",
        window: tuple[int, int] = DESK,
        *,
        scripts: bool = True,
    ) -> Visitor:
        context = browser.new_context(
            ignore_https_errors=True,
            locale="es-ES" if language == "es" else "en-GB",
            viewport={"width": window[0], "height": window[1]},
            java_script_enabled=scripts,
        )
        context.set_default_timeout(TIMEOUT)
        visitor = Visitor(
            context.new_page(),
            f"{scheme}://{address}",
            admin_password,
            f"{request.node.originalname}-{scheme}-{language}-{window[0]}",
            SPANISH if language == "es" else {},
        )
        _watch(context, visitor, address)
        opened.append((context, visitor))
        return visitor

    yield start
    for context, visitor in opened:
        context.close()
        assert visitor.complaints == []


def _watch(context: BrowserContext, visitor: Visitor, address: str) -> None:
    def sent(request: SentRequest) -> None:
        if urlsplit(request.url).hostname != address:
            visitor.complaints.append(f"request to {request.url}")

    def answered(request: SentRequest) -> None:
        response = request.response()
        if response and response.status >= 400 and response.status not in visitor.expected:
            visitor.complaints.append(f"{response.status} of {request.method} {request.url}")

    def said(message: ConsoleMessage) -> None:
        # The browser reports a page's own status as an error, too; `answered` looks at that.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            visitor.complaints.append(f"console: {message.text}")

    context.on("request", sent)
    context.on("requestfinished", answered)
    context.on("console", said)
    context.on("weberror", lambda error: visitor.complaints.append(f"script: {error.error}"))


@pytest.fixture
def unique() -> str:
    """A word that nothing else has."""
    return secrets.token_hex(4)
