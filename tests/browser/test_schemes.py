"""HTTP and HTTPS of one host, one after the other in the same browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit


@pytest.mark.parametrize("schemes", [("http", "https"), ("https", "http")], ids="-then-".join)
def test_signing_in_works_over_either_scheme_after_a_visit_over_the_other(
    visit: Visit, schemes: tuple[str, str]
) -> None:
    visitor = visit(scheme=schemes[0], language="en")
    address = visitor.base.partition("://")[2]
    for scheme in (*schemes, *schemes):
        visitor.base = f"{scheme}://{address}"
        visitor.sign_in()
        expect(visitor.page.get_by_role("button", name="Sign out")).to_be_visible()
