"""The pictures: what a person sees in a browser. And the PDF, which the browser prints."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.labstack.stack.plugins.module_utils.http import (
    Client,
    HttpError,
    Reply,
    url_host,
)
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from evidence.browser import any_executable

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

DESK = (1280, 800)
PHONE = (390, 844)
TALLEST = 1800  # pixels of a long page
TIMEOUT = 30_000  # milliseconds for a page
# Milliseconds for what a page asks for after it is there, as Grafana does for its panels.
SETTLED = 6_000
LOCALES = {"en": "en-GB", "es": "es-ES"}


class NoBrowserError(Exception):
    """There is no browser; the message says how to get one."""


@dataclass(frozen=True)
class Picture:
    """A picture that was taken.

    Attributes:
        name: of its file, without the ending.
        kind: which text says what is to be seen (texts/*.yml, pictures).
        title: what the text does not know, such as a dashboard's title.
        png: the picture.
        width: of the window, in pixels of CSS.
    """

    name: str
    kind: str
    png: bytes
    width: int
    title: str = ""


def key_pin(certificate: str) -> str:
    """Returns what Chromium knows a certificate's key by: Base64 of the SHA-256 of its SPKI."""
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


@contextlib.contextmanager
def opened(certificates: list[str]) -> Iterator[Browser]:
    """Opens the browser, for which only these certificates (PEM) need no authority.

    Raises:
        NoBrowserError: there is none, or Playwright is not installed.
    """
    try:
        from playwright.sync_api import Error, sync_playwright  # noqa: PLC0415 - may be missing
    except ImportError as error:
        raise NoBrowserError(f"{error}: ./lab report installs it") from None
    with sync_playwright() as playwright:
        path = any_executable(playwright.chromium.executable_path)
        if not path:
            raise NoBrowserError(
                "neither Chromium nor Chrome is here: sudo apt-get install chromium (Debian), "
                ".venv/bin/playwright install --with-deps chromium (Ubuntu), or "
                "LAB_CHROMIUM=/path/to/chrome ./lab report"
            )
        pins = ",".join(key_pin(certificate) for certificate in certificates)
        try:
            browser = playwright.chromium.launch(
                executable_path=path,
                args=[
                    # A container has little shared memory.
                    "--disable-dev-shm-usage",
                    # The host's own certificates, and no others: logins go to the host alone.
                    *([f"--ignore-certificate-errors-spki-list={pins}"] if pins else []),
                ],
            )
        except Error as error:
            raise NoBrowserError(f"{path} does not start: {str(error).splitlines()[0]}") from None
        try:
            yield browser
        finally:
            browser.close()


class Camera:
    """Takes the pictures of one host.

    Args:
        browser: the opened browser.
        address: the host's.
        servers: the services by name, each with port, and where they have them scheme, user,
            password and present.
        language: "en" or "es".
    """

    def __init__(
        self,
        browser: Browser,
        address: str,
        servers: Mapping[str, Mapping[str, Any]],
        language: str,
    ) -> None:
        """Notes whom to look at."""
        self._browser = browser
        self._address = address
        self._servers = servers
        self._locale = LOCALES[language]

    def _there(self, name: str) -> bool:
        server = self._servers.get(name, {})
        return bool(server) and server.get("present", True) and not server.get("closed", False)

    def _base(self, name: str) -> str:
        server = self._servers[name]
        return f"{server.get('scheme', 'http')}://{url_host(self._address)}:{server['port']}"

    @contextlib.contextmanager
    def _window(
        self, name: str, size: tuple[int, int] = DESK, *, login: bool = False, scale: float = 1.5
    ) -> Iterator[tuple[BrowserContext, Page]]:
        """Opens a window on a server, with its password where `login` says so."""
        server = self._servers[name]
        options: dict[str, Any] = {}
        if login and server.get("user"):
            options["http_credentials"] = {
                "username": server["user"],
                "password": server["password"],
                # Another server does not get it.
                "origin": self._base(name),
            }
        # Where no certificate is known, any is taken, as by the verification.
        unknown = not (server.get("certificate") or server.get("trusted"))
        context = self._browser.new_context(
            ignore_https_errors=server.get("scheme") == "https" and unknown,
            base_url=self._base(name),
            locale=self._locale,
            color_scheme="light",
            viewport={"width": size[0], "height": size[1]},
            device_scale_factor=scale,
            **options,
        )
        context.set_default_timeout(TIMEOUT)
        try:
            yield context, context.new_page()
        finally:
            context.close()

    def take(self, without: Collection[str] = ()) -> Iterator[Callable[[], Iterator[Picture]]]:
        """Yields the ways to take pictures, each of which may fail on its own.

        Args:
            without: services that have no pages.
        """
        if self._there("https"):
            yield self.page
            yield self.product
        if self._there("prometheus") and "prometheus" not in without:
            yield self.prometheus
        if self._there("grafana"):
            yield self.grafana
        if self._there("node_exporter"):
            yield self.node_exporter

    def page(self) -> Iterator[Picture]:
        """The web page as a visitor sees it, at a desk and on a phone."""
        for kind, size in (("page-desktop", DESK), ("page-phone", PHONE)):
            with self._window("https", size, scale=2 if size == PHONE else 1.5) as (_, page):
                page.goto("/")
                yield Picture(kind, kind, page.screenshot(), size[0])

    def product(self) -> Iterator[Picture]:
        """A product that is added through the page, and removed when its picture is taken."""
        server = self._servers["https"]
        spanish = self._locale == "es-ES"
        name = f"{'Prueba' if spanish else 'Evidence'} {secrets.token_hex(3)}"
        with self._window("https") as (_, page):
            page.goto("/login")
            page.fill("#username", server["user"])
            page.fill("#password", server["password"])
            page.locator("main form button").first.click()
            page.wait_for_selector("form.account button")
            page.goto("/products/new")
            page.fill("#name", name)
            page.fill(
                "#description",
                "Añadido por el informe, que después lo elimina."
                if spanish
                else "Added by the report, which removes it afterwards.",
            )
            page.fill("#price", "9,99" if spanish else "9.99")
            page.fill("#stock", "3")
            yield Picture("product-form", "product-form", page.screenshot(), DESK[0])
            page.locator("main form.card button").first.click()
            page.wait_for_load_state()
            try:
                page.goto(f"/products?q={name.replace(' ', '+')}")
                row = page.get_by_role("row").filter(has_text=name)
                row.wait_for()
                yield Picture("product-added", "product-added", page.screenshot(), DESK[0])
            finally:
                # The list says the product's number in the address of its last link.
                page.goto(f"/products?q={name.replace(' ', '+')}")
                row = page.get_by_role("row").filter(has_text=name)
                if row.count():
                    row.get_by_role("link").last.click()
                    page.locator("main form button").last.click()
                    page.wait_for_load_state()
            page.goto(f"/products?q={name.replace(' ', '+')}")
            if page.get_by_role("row").filter(has_text=name).count():
                raise RuntimeError(f"the product {name} could not be removed again")

    def prometheus(self) -> Iterator[Picture]:
        """Prometheus's pages of its targets and its alert rules."""
        with self._window("prometheus", login=True) as (_, page):
            for kind, path in (("prometheus-targets", "/targets"), ("prometheus-rules", "/alerts")):
                answer = page.goto(path)
                if answer and not answer.ok:
                    raise RuntimeError(f"{path} answers {answer.status}")
                self._settle(page)
                yield Picture(kind, kind, self._long(page), DESK[0])

    def grafana(self) -> Iterator[Picture]:
        """Each dashboard of Grafana."""
        server = self._servers["grafana"]
        with self._window("grafana") as (context, page):
            login = {"user": server["user"], "password": server["password"]}
            answer = context.request.post("/login", data=login)
            if not answer.ok:
                raise RuntimeError(f"Grafana's login answers {answer.status}")
            boards = context.request.get("/api/search?type=dash-db&limit=5000").json()
            for board in sorted(boards, key=lambda board: str(board["title"])):
                # A page as high as its panels: what is below the window is not drawn.
                page.set_viewport_size({"width": DESK[0], "height": 1200})
                page.goto(f"/d/{board['uid']}?kiosk&from=now-1h&to=now")
                self._settle(page)
                name = "grafana-" + re.sub(r"\W+", "-", str(board["uid"])).lower()
                png = self._long(page)
                yield Picture(name, "grafana", png, DESK[0], str(board["title"]))

    def node_exporter(self) -> Iterator[Picture]:
        """Node Exporter's page."""
        with self._window("node_exporter", (DESK[0], 480), login=True) as (_, page):
            page.goto("/")
            yield Picture("node-exporter", "node-exporter", page.screenshot(), DESK[0])

    @staticmethod
    def _settle(page: Page) -> None:
        """Waits until the page asks for nothing more; one that asks for ever is taken as it is."""
        from playwright.sync_api import TimeoutError as TooLongError  # noqa: PLC0415 - as above

        with contextlib.suppress(TooLongError):
            page.wait_for_load_state("networkidle", timeout=SETTLED)

    @staticmethod
    def _long(page: Page) -> bytes:
        """Returns a picture of the page's whole length, up to TALLEST."""
        height = int(page.evaluate("document.documentElement.scrollHeight"))
        width = page.viewport_size["width"] if page.viewport_size else DESK[0]
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, TALLEST)}
        return bytes(page.screenshot(full_page=True, clip=clip))  # type: ignore[arg-type]


def stand_ins(address: str, servers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns which services show other pages than one expects: "grafana", "prometheus".

    The lab's stand-in for Grafana calls its version a fake; Debian's build of Prometheus has no
    pages, only the interface.
    """

    def ask(name: str, path: str) -> Reply | None:
        server = servers.get(name, {})
        if not server or not server.get("present", True):
            return None
        base = f"{server.get('scheme', 'http')}://{url_host(address)}:{server['port']}"
        login = (server.get("user", ""), server.get("password", ""))
        try:
            return Client(base, TIMEOUT / 1000, *login).ask("GET", path)
        except HttpError:
            return None

    grafana, prometheus = ask("grafana", "/api/health"), ask("prometheus", "/query")
    found = ["grafana"] if grafana and "fake" in grafana.body else []
    if prometheus and prometheus.status == 404:
        found.append("prometheus")
    return found


def print_pdf(browser: Browser, html: Path, target: Path, footer: str) -> None:
    """Prints the report.

    Args:
        browser: the opened browser.
        html: the report's page.
        target: the PDF.
        footer: what stands at the foot of each page, beside its number.
    """
    import html as escaping  # noqa: PLC0415 - the name is the page's here

    page = browser.new_page(color_scheme="light")
    try:
        page.goto(html.resolve().as_uri())
        style = "font: 7pt sans-serif; color: #5a6676; width: 100%; margin: 0 16mm; display: flex"
        page.pdf(
            path=target,
            format="A4",
            print_background=True,
            tagged=True,
            outline=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=f'<div style="{style}; justify-content: space-between">'
            f"<span>{escaping.escape(footer)}</span>"
            '<span><span class="pageNumber"></span>/<span class="totalPages"></span></span></div>',
            margin={"top": "16mm", "bottom": "18mm", "left": "16mm", "right": "16mm"},
        )
    finally:
        page.close()
