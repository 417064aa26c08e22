"""Great Expectations as the judge: it decides, it fails closed, and it says and sends nothing."""

import json
import subprocess
import sys
from typing import NamedTuple

import pytest

from slipway.adapters import expectations
from slipway.adapters.expectations import judge


class Line(NamedTuple):
    name: str
    table: str
    figure: str
    low: float | None = None
    high: float | None = None
    allowed: tuple[str, ...] | None = None


TABLES = {"facts": {"a": [0.5], "none": [None], "nan": [float("nan")]}, "shards": {"columns": ["x", "x", "y"]}}


@pytest.mark.parametrize(
    ("line", "met"),
    [
        (Line("l", "facts", "a", low=0.5), True),
        (Line("l", "facts", "a", low=0.500001), False),
        (Line("l", "facts", "a", high=0.5), True),
        (Line("l", "facts", "a", high=0.499999), False),
        (Line("l", "facts", "a", low=0.4, high=0.6), True),
        (Line("l", "facts", "a", low=0.4, high=0.45), False),
        (Line("l", "facts", "a", low=0.55, high=0.6), False),
        (Line("l", "facts", "a", high=0), False),
        (Line("l", "shards", "columns", allowed=("x", "y")), True),
        (Line("l", "shards", "columns", allowed=("x",)), False),
    ],
)
def test_bounds(line, met):
    assert judge(TABLES, [line]) == {"l": (met, None)}


@pytest.mark.parametrize("figure", ["none", "nan", "no such column"])
def test_a_value_that_is_missing_is_not_met(figure):
    for line in (Line("l", "facts", figure, high=1.0), Line("l", "facts", figure, low=0.0)):
        assert not judge(TABLES, [line])["l"].met


def test_a_line_that_cannot_be_asked_is_not_met_and_says_so():
    lines = [Line("no table", "nowhere", "a", low=0), Line("no bound", "facts", "a"), Line("good", "facts", "a", low=0)]
    answers = judge(TABLES, lines)
    assert list(answers) == ["no table", "no bound", "good"]
    assert answers["no table"] == answers["no bound"] == (False, "the judge gave no answer")
    assert answers["good"].met


def test_a_crash_of_one_check_is_not_met():
    answer = judge(TABLES, [Line("l", "facts", "no such column", high=1.0)])["l"]
    assert not answer.met
    assert "no such column" in answer.crashed


def test_a_crash_of_the_whole_library_is_not_met(monkeypatch):
    def explode(*arguments, **settings):
        raise RuntimeError("boom")

    monkeypatch.setattr(expectations, "_validated", explode)
    assert judge(TABLES, [Line("l", "facts", "a", low=0)]) == {"l": (False, "RuntimeError: boom")}


def test_its_verdict_decides(monkeypatch):
    """A library that says no to everything is believed."""
    import great_expectations as gx

    real = gx.expectations.ExpectColumnMinToBeBetween._validate
    monkeypatch.setattr(
        gx.expectations.ExpectColumnMinToBeBetween,
        "_validate",
        lambda self, *a, **k: real(self, *a, **k) | {"success": False},
    )
    assert not judge(TABLES, [Line("l", "facts", "a", low=0)])["l"].met


def test_it_is_quiet(capfd):
    judge(TABLES, [Line("l", "facts", "a", low=0)])
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_a_lean_import_hides_nothing_afterwards_and_writes_nothing(tmp_path):
    code = """
import json, socket, sys
def refuse(*a, **k): raise AssertionError("network")
socket.socket.connect = refuse
from slipway.adapters.expectations import judge
from collections import namedtuple
Line = namedtuple("Line", "name table figure low high allowed")
answer = judge({"facts": {"a": [1.0]}}, [Line("l", "facts", "a", 0, 2, None)])["l"]
lean = sorted(m for m in ("altair", "boto3", "sqlalchemy", "scipy.stats", "rfc3987_syntax") if m in sys.modules)
import altair, boto3, sqlalchemy, scipy.stats
from great_expectations.expectations.core import expect_column_kl_divergence_to_be_less_than as late
print(json.dumps([answer.met, lean, altair.Chart.__name__, late.alt.Chart.__name__, scipy.stats.norm.cdf(0),
                  late.stats.norm.cdf(0), boto3.__name__, sqlalchemy.__name__]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert json.loads(done.stdout) == [True, [], "Chart", "Chart", 0.5, 0.5, "boto3", "sqlalchemy"]
    assert list(tmp_path.iterdir()) == []
