"""The contract as Great Expectations judges it: one planted defect for each expectation."""

import pandas as pd
import pytest

from slipway.adapters.expectations import judge
from slipway.settings import Validate

SETTINGS = Validate(
    min_documents=10,
    min_characters=5,
    max_characters=50,
    max_outside_length=0.1,
    max_without_licence=0.1,
    max_largest_source=0.6,
    max_duplicate_share=0.1,
)


def _rows() -> pd.DataFrame:
    names = [f"d{n:02}" for n in range(20)]
    return pd.DataFrame(
        {
            "name": names,
            "id": names,
            "source": "s",
            "group": "g",
            "licence": "MIT",
            "characters": 20,
            "copy": False,
            "nul": False,
            "signature_leads": True,
        }
    )


SOURCES = pd.DataFrame({"source": ["s", "t"], "characters": [50, 50], "share": [0.5, 0.5]})


def _broken(rows: pd.DataFrame, sources: pd.DataFrame = SOURCES) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {item.name: (item.failing, item.failing_ids) for item in judge(rows, sources, SETTINGS) if not item.passed}


def test_good_data_passes_every_expectation_and_output_is_quiet(capfd):
    items = judge(_rows(), SOURCES, SETTINGS)
    assert len(items) == 12
    assert all(item.passed for item in items)
    assert [item.name for item in items][:2] == ["enough documents", "every document has an id"]
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


@pytest.mark.parametrize(
    ("column", "value", "rows", "name"),
    [
        ("id", None, [3], "every document has an id"),
        ("id", "d05", [5, 6], "ids are unique"),
        ("characters", float("nan"), [4], "every document has text"),
        ("source", None, [7], "every document has a source"),
        ("group", None, [8], "every document has a group"),
        ("characters", 2, [1, 2, 3], "documents have a sensible length"),
        ("nul", True, [9], "no NUL characters"),
        ("signature_leads", False, [10], "a signature is the first line of its text"),
        ("licence", None, [1, 2, 3], "sources state a licence"),
        ("copy", True, [1, 2, 3], "few exact copies"),
    ],
)
def test_each_defect_breaks_exactly_its_expectation_and_names_the_rows(column, value, rows, name):
    frame = _rows()
    if column == "characters":
        frame[column] = frame[column].astype(float)
    frame.loc[rows, column] = value
    assert _broken(frame) == {name: (len(rows), tuple(f"d{n:02}" for n in rows))}


def test_shares_allow_some_rows_but_count_them():
    frame = _rows()
    frame.loc[[1, 2], "characters"] = 2
    items = {item.name: item for item in judge(frame, SOURCES, SETTINGS)}
    item = items["documents have a sensible length"]
    assert (item.passed, item.failing, item.failing_ids) == (True, 2, ("d01", "d02"))
    assert item.observed == "2 of 20 outside (10 %)"
    assert item.bound == "5 to 50 characters, for all but 10 %"


def test_too_few_documents_and_a_dominant_source():
    assert set(_broken(_rows().head(1))) == {"enough documents"}
    sources = pd.DataFrame({"source": ["s", "t"], "share": [0.3, 0.7]})
    assert _broken(_rows(), sources) == {"no source dominates": (1, ("t",))}


def test_a_check_that_crashes_is_not_met():
    items = {item.name: item for item in judge(_rows().drop(columns="group"), SOURCES, SETTINGS)}
    item = items["every document has a group"]
    assert not item.passed
    assert "the check itself failed" in item.observed


def test_at_most_twenty_rows_are_named():
    frame = pd.concat([_rows()] * 3, ignore_index=True)
    frame["name"] = [f"r{n:02}" for n in range(60)]
    frame["id"] = frame["name"]
    frame["nul"] = True
    assert _broken(frame)["no NUL characters"] == (60, tuple(f"r{n:02}" for n in range(20)))
