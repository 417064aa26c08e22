"""Facts of the contract, the message and the page."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.data import contract
from slipway.errors import UserError
from slipway.records import Expectation


def _write(path: Path, rows: list[tuple]) -> Path:
    names = ("id", "text", "source", "group", "licence", "signature")
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    pq.write_table(pa.table([pa.array(c, pa.string()) for c in columns], names=list(names)), path)
    return path


@pytest.fixture
def path(tmp_path):
    return _write(
        tmp_path / "documents.parquet",
        [
            ("b", "four", "s1", "g1", "MIT", None),
            ("a", "sig\nfour", "s1", "g2", None, "sig"),
            ("c", "four", "s2", "g2", "MIT", "other"),
            ("d", "", "s2", "g3", "MIT", None),
            ("e", "é漢\x00", "s2", "g3", "MIT", None),
        ],
    )


def test_rows_are_checked_one_by_one(path):
    rows = contract.measure(path).rows.set_index("name")
    assert rows.index.tolist() == ["a", "b", "c", "d", "e"]
    assert rows["characters"].tolist() == [8, 4, 4, 0, 3]
    assert rows["copy"].tolist() == [False, False, True, False, False]
    assert rows["nul"].tolist() == [False, False, False, False, True]
    assert rows["signature_leads"].tolist() == [True, True, False, True, True]


def test_figures_over_all_rows(path):
    measured = contract.measure(path)
    assert measured.statistics["characters"] == 19
    assert measured.statistics["characters_p50"] == 4
    assert measured.statistics["share_without_licence"] == pytest.approx(0.2)
    assert measured.statistics["share_of_largest_source"] == pytest.approx(12 / 19)
    assert measured.histogram == ((0, 1), (1, 0), (2, 1), (4, 2), (8, 1))
    assert measured.sources["characters"].tolist() == [12, 7]


def test_nulls_are_counted_and_rows_without_id_named_by_number(tmp_path):
    path = _write(tmp_path / "x.parquet", [(None, None, None, None, None, None), ("a", "t", "s", "g", None, None)])
    measured = contract.measure(path)
    assert measured.rows["name"].tolist() == ["a", "row 0"]
    assert measured.statistics["documents"] == 2


def test_no_row_at_all_is_an_error(tmp_path):
    with pytest.raises(UserError, match="holds no document"):
        contract.measure(_write(tmp_path / "documents.parquet", []))


def test_message_and_page_name_what_failed_and_quote_it(path):
    failed = Expectation(
        name="ids are unique",
        column="id",
        passed=False,
        observed="2 of 5",
        bound="no value twice",
        failing_ids=("b",),
        failing=2,
    )
    report = contract.report(contract.measure(path), (failed,))
    assert not report.passed
    message = contract.complaint(report)
    assert "ids are unique: expected no value twice, observed 2 of 5" in message
    assert "failing: b and 1 more" in message
    quoted = contract.quotes(path, ["b"])
    assert quoted == {"b": "four"}
    page = contract.page(report, {"b": "<script>alert(1)</script>"})
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "the data breaks its contract: 1 not met" in page
    assert page == contract.page(report, {"b": "<script>alert(1)</script>"})


def test_without_expectations_nothing_has_passed(path):
    assert not contract.report(contract.measure(path), ()).passed


def test_quotes_are_cut(tmp_path):
    path = _write(tmp_path / "x.parquet", [("a", "line\n" * 100, "s", "g", None, None)])
    assert len(contract.quotes(path, ["a"])["a"]) <= 120
