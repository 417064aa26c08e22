"""Waivers: named, reasoned, and over on a day."""

from datetime import date

import pytest

from slipway.records import GateLine
from slipway.release.gate import overall, waivers
from slipway.settings import Waiver

LINES = [
    GateLine(id="manifest", check="-", tier="built-in", verdict="NO-GO", observed="o", reason="r", action="a"),
    GateLine(id="signature vs champion", check="-", tier="critical", verdict="NO-GO", observed="o", reason="r",
             action="a"),
    GateLine(id="train.gap", check="-", tier="critical", verdict="GO", observed="o", reason="r"),
]  # fmt: skip


def waiver(line="signature vs champion", expires="2026-06-30"):
    return Waiver(line=line, by="A. Person", reason="the test set changed", expires=expires)


def applied(*given, today="2026-06-30"):
    return {line.id: line for line in waivers.apply(LINES, given, date.fromisoformat(today))}


def test_a_waiver_in_force_keeps_the_verdict_and_holds_nothing_up():
    found = applied(waiver())
    line = found["signature vs champion"]
    assert (line.verdict, line.waived_by) == ("NO-GO", "A. Person, until 2026-06-30: the test set changed")
    assert found["waivers"].observed == "1 stated, 1 lines waived, 0 expired"
    assert overall(found.values()) == "NO-GO"  # of the manifest
    assert overall([found["waivers"], line, found["train.gap"]]) == "GO"


def test_an_expired_waiver_holds_the_line_again_and_says_so():
    found = applied(waiver(), today="2026-07-01")
    line = found["signature vs champion"]
    assert (line.verdict, line.waived_by) == ("NO-GO", None)
    assert line.observed == "o; the waiver of A. Person expired on 2026-06-30"
    assert "renew" in line.action
    assert found["waivers"].verdict == "GO"


def test_of_two_waivers_the_one_in_force_counts():
    found = applied(waiver(expires="2026-01-01"), waiver(expires="2026-12-31"))
    assert "until 2026-12-31" in found["signature vs champion"].waived_by


def test_a_line_that_holds_needs_no_waiver():
    assert applied(waiver("train.gap"))["train.gap"].waived_by is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("signature vs champoin", "is no line; did you mean `signature vs champion`?"),
        ("zzz", "is no line; lines are: signature vs champion, train.gap"),
        ("manifest", "for `manifest`, which cannot be waived"),
        ("waivers", "for `waivers`, which cannot be waived"),
    ],
)
def test_a_waiver_of_what_is_no_line_or_cannot_be_waived_is_no_go(line, words):
    found = applied(waiver(line))
    assert found["waivers"].verdict == "NO-GO"
    assert words in found["waivers"].observed
    assert found["waivers"].action
    assert not any(one.waived_by for one in found.values())


def test_without_waivers_there_is_no_line_about_them():
    assert "waivers" not in applied()
