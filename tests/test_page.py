"""The page: escaped, self-contained, equal every time, honest about what is missing."""

import base64
import hashlib
import re
from xml.etree import ElementTree as ET

import pytest
from markupsafe import Markup

from slipway.page import (
    Section,
    banner,
    bars,
    facts,
    fold,
    grouped,
    histogram,
    lines,
    mark,
    number,
    pair,
    paragraph,
    prose,
    reliability,
    render,
    table,
    verdict,
)


def page():
    return render(
        "A <b> title",
        "what & why",
        [
            Section("One", table(["a", "b"], [["<x>", 1.5], ["y", None]]) + verdict(None, "not run"), "intro <i>"),
            Section("Two", lines({"loss": [(0, 3.0), (1, 2.0), (2, float("nan"))]}, "step", "loss")),
            Section("Three", bars(["m"], [0.5], [(0.4, 0.6)], reference=("chance", 0.25), emphasis=["m"])),
            Section("Four", histogram([(1, 2), (10, 0), (100, 7)], "length") + fold("more", paragraph("<p>"))),
            Section("Five", pair(reliability([(0.9, 0.7, 5), (0.3, 0.25, 80)]), banner("bad", "NO-GO", "<why>"))),
            Section("Six", grouped(["m", "n"], [(Markup("a"), [["<m>", 3]], True)])),
        ],
    )


def test_equal_arguments_give_equal_bytes():
    assert page() == page()


def test_text_is_escaped():
    text = page()
    assert "A &lt;b&gt; title" in text
    assert "&lt;x&gt;" in text
    assert "intro &lt;i&gt;" in text
    assert "<x>" not in text
    assert "<p>&lt;why&gt;</p>" in text
    assert "<td>&lt;m&gt;</td>" in text


def test_the_policy_allows_exactly_our_style():
    text = page()
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    expected = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{expected}'" in text
    assert "default-src 'none'" in text
    assert "<script" not in text
    assert "style=" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_plots_are_well_formed_and_can_be_read_without_seeing():
    for plot in re.findall(r"<svg.*?</svg>", page(), re.DOTALL):
        root = ET.fromstring(plot)  # noqa: S314  our own text
        assert root.get("role") == "img"
        assert root.get("aria-label")


def test_points_that_are_not_finite_are_counted():
    assert "loss (1 not finite)" in page()


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match="no finite point"):
        lines({"loss": [(0, float("inf"))]}, "x", "y")
    with pytest.raises(ValueError, match="no bin"):
        histogram([], "x")
    with pytest.raises(ValueError, match="no bin"):
        reliability([])


def test_constant_series_and_zero_bars_have_axes():
    assert "<polyline" in lines({"a": [(1, 2.0)]}, "x", "y")
    assert "<rect" in bars(["a", "b"], [0, 0])
    assert "<rect" in histogram([(1, 0)], "x")


def test_a_row_of_another_length_is_an_error():
    with pytest.raises(ValueError, match="3 cells under 2 headers"):
        table(["a", "b"], [[1, 2, 3]])
    with pytest.raises(ValueError, match="3 cells under 2 headers"):
        grouped(["a", "b"], [(Markup("x"), [[1, 2]], False), (Markup("y"), [[1, 2, 3]], False)])


def test_missing_is_a_dash_and_never_zero():
    assert "–" in table(["a"], [[None]])
    assert "–" in facts([("a", None)])
    assert ">0<" in table(["a"], [[0]])
    assert "nothing to show" in table(["a"], [])
    assert isinstance(table(["a"], []), Markup)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234567, "1,234,567"), (1.98712, "1.987"), (0.25, "0.2500"), (6.0, "6"),
     (1234.5678, "1,235"), (2e-7, "2.000e-07"),
     (float("nan"), "nan"), (-0.5, "-0.5000")],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text


def test_characters_that_hide_are_written_out():
    text = render("a\u202eb", "\x1b[2J", [Section("s", paragraph("x\u2028y\u00a0z"))])
    assert "a\\u202eb" in text
    assert "\\u001b[2J" in text
    assert "x\\u2028y\u00a0z" in text


def test_a_table_that_folds_names_every_cell():
    text = table(["task", 'a "figure"', "n"], [["x", 1.5, None]], cards=True)
    assert '<td data-name="task">x</td>' in text
    assert '<td class="number" data-name="a &#34;figure&#34;">1.500</td>' in text
    assert '<td class="none" data-name="n">–</td>' in text


def test_a_bar_shows_its_number_and_its_interval():
    text = bars(["model", "a name that is far too long to stand before its number"], [1.5, 2], [(1.4, 1.6), None])
    assert ">1.500  [1.400, 1.600]</text>" in text
    assert "model: 1.500, 95 % interval 1.400 to 1.600</title>" in text
    assert "…</text>" in text
    assert "a name that is far too long to stand before its number: 2</title>" in text


def test_the_reliability_diagram_says_what_each_dot_is():
    text = reliability([(0.9, 0.7, 5), (0.3, 0.25, 80)])
    ET.fromstring(re.search(r"<svg.*</svg>", text, re.DOTALL)[0])  # noqa: S314  our own text
    dots = re.findall(r'<circle[^>]* cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"><title>(.*?)</title>', text)
    assert [words for *_, words in dots] == [
        "confidence 0.3000, right 0.2500, n = 80", "confidence 0.9000, right 0.7000, n = 5",
    ]  # fmt: skip
    (x_few, y_few, r_few), (x_most, y_most, r_most) = (tuple(map(float, dot[:3])) for dot in reversed(dots))
    assert x_few > x_most
    assert y_few < y_most  # upwards on the page
    assert r_few < r_most
    # Both lie below the diagonal: too sure.
    x1, y1, x2, y2 = map(
        float, re.search(r'class="diagonal" x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)"', text).groups()
    )
    assert all(y > y1 + (x - x1) / (x2 - x1) * (y2 - y1) for x, y in ((x_few, y_few), (x_most, y_most)))


def test_what_stands_between_backticks_is_code():
    assert prose("run `slipway <x>` now") == "run <code>slipway &lt;x&gt;</code> now"
    assert prose("one ` alone <b>") == "one ` alone &lt;b&gt;"


def test_verdicts_differ_by_more_than_colour():
    assert len({str(verdict(ok, "x"))[:60] for ok in (True, False, None)}) == 3
    assert "✗" in verdict(False, "x")
    signs = ("good", "bad", "look", "done", "unknown", "void")
    assert len({re.search(r">(.)</span>", mark(sign, "x"))[1] for sign in signs}) == len(signs)
