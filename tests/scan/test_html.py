"""Pages of a release: what a browser would act upon is refused, and what a page only shows is not."""

import re

import pytest

from slipway import page
from tests.scan.test_documents import found

PAGE = page.render("Title", "subtitle", [page.Section("First", page.prose("`@import url(x)` and <script> are text."))])


def test_a_page_passes_and_may_speak_of_what_would_call_out(bare):
    assert found(bare, "report.html", PAGE) == set()


@pytest.mark.parametrize(
    "inserted",
    [
        "<style>@import 'x'</style>",
        "<style>b { background: u\\72l(x) }</style>",
        "<!-- --!><script>x()</script> -->",
        "<![CDATA[ ><script>x()</script> ]]>",
        '<title><a title="</title><script>x()</script>"></a></title>',
        '<textarea><b id="</textarea><script>x()</script>"></b></textarea>',
        '<p style="color: red">x</p>',
        "<math><a>x</a></math>",
    ],
)
def test_what_a_browser_would_act_upon_is_no_page(bare, inserted):
    assert found(bare, "report.html", PAGE.replace("</body>", inserted + "</body>")) == {"html.active"}


@pytest.mark.parametrize("policy", ["default-src 'none'; script-src *", "default-src *; default-src 'none'", ""])
def test_a_policy_that_lets_something_in_is_none(bare, policy):
    content = re.sub(r'content="default-src[^"]*"', f'content="{policy}"', PAGE)
    assert found(bare, "report.html", content) == {"html.policy"}
