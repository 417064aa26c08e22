"""The whole evaluation report on a tiny model: complete, and the same twice."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.errors import UserError
from slipway.evaluation.documents import read_documents, read_texts
from slipway.evaluation.report import evaluate, write_answers
from slipway.records import EvaluateReport
from slipway.settings import Choice, Evaluate

SETTINGS = Evaluate(
    stride=32,
    continuation=Choice(items=8, prompt_tokens=20, answer_tokens=8),
    signature=Choice(items=8, prompt_tokens=20, answer_tokens=12),
    bootstrap=100,
)


def rows(count: int, signed: bool = True) -> list[dict]:
    words = [f"{stem}{end}" for stem in ("arra", "axi", "valu", "inde") for end in "yste"]
    made = []
    for i in range(count):
        header = f"def f{i}({words[i % 16]})" if signed else None
        body = " ".join(words[(i * 7 + k * (i + 1)) % 16] for k in range(30))
        text = f"{header}\n{body}" if header else body
        made.append(
            {"id": f"d{count - i:03}", "text": text, "source": f"made/{'ab'[i % 2]}", "family": f"f{i}",
             "signature": header, "group": "g", "licence": "MIT"}
        )  # fmt: skip
    return made


def split(path, made: list[dict]):
    names = ["id", "text", "source", "group", "licence", "signature", "family"]
    pq.write_table(pa.table({name: pa.array([row[name] for row in made], pa.string()) for name in names}), path)
    return path


def test_the_whole_report_twice(scorer, tmp_path):
    test = read_documents(split(tmp_path / "test.parquet", rows(12)))
    assert [document.id for document in test] == sorted(document.id for document in test)
    train = [row["text"] for row in rows(40)]
    found = []
    for name in ("one", "two"):
        report, answers = evaluate(scorer, test, train, SETTINGS, 17, weights_sha256="w", test_sha256="t")
        write_answers(answers, tmp_path / name)
        found.append((report.to_json(), (tmp_path / name).read_bytes()))
    assert found[0] == found[1]
    assert EvaluateReport.model_validate_json(found[0][0]) == report
    assert list(report.bits_per_byte) == ["model", "gzip", "xz", "zstd_dictionary", "byte_5gram"]
    assert report.bits_per_byte["model"].n == report.test_documents == 12
    assert report.test_bytes == sum(len(document.text) for document in test)
    assert set(report.bits_per_byte_by_source) == {"made/a", "made/b"}
    low, high = sorted(report.bits_per_byte_by_source.values())
    assert low <= report.bits_per_byte["model"].value <= high
    assert report.choices["continuation"].accuracy.n == report.choices["signature"].accuracy.n == 8
    assert report.choices_left_out == {}
    assert len(report.samples) == 6
    assert report.samples[0][0].startswith("def f")
    table = pq.read_table(tmp_path / "one").to_pylist()
    assert len(table) == 16
    assert sum(row["correct"] for row in table if row["task"] == "signature") == round(
        report.choices["signature"].accuracy.value * 8
    )
    assert all(len(row["scores"]) == 4 and len(row["prompt_sha256"]) == 64 for row in table)


def test_tasks_that_cannot_be_asked_are_left_out_with_a_reason(scorer, tmp_path):
    test = read_documents(split(tmp_path / "test.parquet", rows(3, signed=False)))
    report, answers = evaluate(scorer, test, ["some text"], SETTINGS, 17, weights_sha256="w", test_sha256="t")
    write_answers(answers, tmp_path / "items.parquet")
    assert report.choices == {}
    assert answers == {}
    assert report.choices_left_out["signature"].startswith("0 of 3 test documents have a signature")
    assert report.choices_left_out["continuation"].startswith("3 of 3 test documents")
    assert pq.read_table(tmp_path / "items.parquet").num_rows == 0


def test_one_document_is_measured_without_interval(scorer, tmp_path):
    test = read_documents(split(tmp_path / "test.parquet", rows(1)))
    report, _ = evaluate(scorer, test, ["some text"], SETTINGS, 17, weights_sha256="w", test_sha256="t")
    assert report.bits_per_byte["model"].low is None
    assert len(report.samples) == 1


def test_an_empty_split_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds no documents.*prepare\.test_share"):
        read_documents(split(tmp_path / "test.parquet", []))


def test_canaries_teach_the_baselines_nothing(tmp_path):
    made = rows(2)
    made[0]["source"] = "canary"
    assert read_texts(split(tmp_path / "train.parquet", made)) == [made[1]["text"]]
