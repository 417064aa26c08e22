"""Records survive JSON, and files that are no records are told apart."""

import pytest

from slipway.errors import UserError
from slipway.records import BundleReport, Measure, Probe, SafetyReport, StageRecord, read_record, read_report


def record(**result) -> StageRecord:
    return StageRecord(
        stage="bundle", slipway="0", settings={"a": 1}, inputs={}, outputs={"bundle/x": "0" * 64}, result=result
    )


def test_round_trip():
    measure = Measure(value=0.5, low=0.4, high=None, n=3, method="Wilson")
    report = SafetyReport(
        weights_sha256="a", probes={"p": Probe(name="p", status="run", reason="", measures={"m": measure}, details={})}
    )
    assert SafetyReport.model_validate_json(report.to_json()) == report


def test_equal_records_give_equal_bytes():
    one, two = record(a=1, b=2), record(b=2, a=1)
    assert one.to_json() == two.to_json()


def test_a_number_that_json_lacks_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        Measure(value=float("nan"), low=None, high=None, n=1, method="").to_json()


def test_a_report_is_read_as_its_type(tmp_path):
    path = tmp_path / "bundle.json"
    path.write_text(record(bundle_digest="d", files=1, bytes=2).to_json(), "utf-8")
    assert read_report(path) == BundleReport(bundle_digest="d", files=1, bytes=2)


@pytest.mark.parametrize("content", ["", "{}", "[1]", "{"])
def test_a_file_that_is_no_record(tmp_path, content):
    (tmp_path / "x.json").write_text(content, "utf-8")
    with pytest.raises(UserError, match="not a stage's report"):
        read_record(tmp_path / "x.json")


def test_a_result_of_the_wrong_shape(tmp_path):
    (tmp_path / "bundle.json").write_text(record(files="many").to_json(), "utf-8")
    with pytest.raises(UserError, match="no report of `bundle`"):
        read_report(tmp_path / "bundle.json")


def test_a_missing_report(tmp_path):
    with pytest.raises(UserError, match="slipway build"):
        read_record(tmp_path / "train.json")
