"""`./lab run python -m website.pictures`: the picture of the web page, taken of the stand-in host.

It is a picture of the real page with a few products, which are added where there is none. Kept as
JPEG in docs/pictures, where README and site show it.
"""

from __future__ import annotations

import sys

import requests
from playwright.sync_api import sync_playwright

from cli import doors
from cli.hosts import Host
from cli.lab import login
from tests.browser.chromium import executable
from website.pages import ROOT

PICTURE = ROOT / "docs" / "pictures" / "page.jpg"
PRODUCTS = (
    ("Desk lamp", "Warm light, with a dimmer", "24.90", 12),
    ("Keyboard", "Spanish layout, mechanical", "79.00", 4),
    ("Notebook", "A5, 120 pages, dotted", "5.50", 140),
    ("Webcam", "1080p, with a cover", "39.95", 0),
)


def main() -> int:
    """Takes the picture; returns the exit status."""
    host = Host("lab", "./lab", login)
    found = {door.name: door for door in doors.of(host)}
    page = found["page"]
    password = doors.passwords(host, [page])[page.secret]
    # What a verification that was cut short has left is no product.
    listed = requests.get(f"{page.url}api/products", timeout=30).json()["items"]
    account = (page.user, password)
    for left in [row for row in listed if row["name"].startswith("labstack-verify")]:
        listed.remove(left)
        url = f"{page.url}api/products/{left['id']}"
        requests.delete(url, auth=account, timeout=30).raise_for_status()
    for name, description, price, stock in PRODUCTS if not listed else ():
        product = {"name": name, "description": description, "price": price, "stock": stock}
        requests.post(
            f"{page.url}api/products", json=product, auth=account, timeout=30
        ).raise_for_status()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        window = browser.new_context(
            viewport={"width": 1000, "height": 460}, device_scale_factor=1.5, locale="en-GB"
        ).new_page()
        window.goto(f"{page.url}products")
        window.wait_for_load_state("networkidle")
        PICTURE.parent.mkdir(exist_ok=True)
        window.screenshot(path=PICTURE, type="jpeg", quality=78)
        browser.close()
    print(f"{PICTURE}: {PICTURE.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
