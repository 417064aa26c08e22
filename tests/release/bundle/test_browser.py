"""report.html as a reader's browser shows it: nothing fetched, nothing cut, readable on a phone."""

import pytest

from tests import browser

pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason="no Chromium to look with")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_fits_and_fetches_nothing(built, tmp_path, width, scheme):
    page = built / "report.html"
    seen = browser.look(page, tmp_path / "profile", width, scheme)
    assert seen.requests == (page.resolve().as_uri(),)
    layout = seen.layout
    assert layout["screen"] == width
    assert layout["page"] == width
    assert layout["wide"] == layout["cut"] == layout["sideways"] == []
    assert layout["smallest"] >= 11


def test_a_page_that_does_not_is_told(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        '<!doctype html><body style="margin:0"><p style="width:900px;font-size:8px">wide</p><img src="https://a.invalid/x">'
        '<svg viewBox="0 0 100 20" style="width:100px"><text x="90" y="10">cut off</text></svg>'
    )
    seen = browser.look(page, tmp_path / "profile", 390)
    assert "https://a.invalid/x" in seen.requests
    assert seen.layout["smallest"] == 8
    assert seen.layout["page"] > 390
    assert seen.layout["wide"]
    assert seen.layout["cut"] == ["cut off"]
