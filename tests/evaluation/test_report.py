"""The whole evaluation report on a tiny model: complete, and the same twice."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.errors import UserError
from slipway.evaluation.documents import read_documents, read_texts
from slipway.evaluation.report import evaluate, write_answers
from slipway.evaluation.tasks.file import FileTask, Item
from slipway.records import EvaluateReport
from slipway.settings import Choice, Evaluate, TaskFile
from slipway.shards import shard_path, write_shard

SCHEMA = ("id", "text", "source", "group", "licence", "signature", "label", "shape", "turns", "family")
SETTINGS = Evaluate(
    stride=32,
    continuation=Choice(items=8, prompt_tokens=20, answer_tokens=8),
    signature=Choice(items=8, prompt_tokens=20, answer_tokens=12),
    files=(),
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
             "signature": header, "group": "g", "licence": "MIT", "shape": "text"}
        )  # fmt: skip
    return made


def split(directory, made: list[dict], name: str = "test", per_shard: int = 5):
    """`made` as a sharded table; returns its directory."""
    directory.mkdir(exist_ok=True)
    for number, start in enumerate(range(0, max(len(made), 1), per_shard)):
        part = made[start : start + per_shard]
        columns = {column: pa.array([row.get(column) for row in part], pa.string()) for column in SCHEMA}
        write_shard(shard_path(directory, name, number), pa.table(columns))
    return directory


def test_the_whole_report_twice(scorer, tmp_path):
    test = read_documents(split(tmp_path / "clean", rows(12)))
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


def test_samples_end_where_a_generation_of_the_release_ends(scorer, tmp_path, monkeypatch):
    test = read_documents(split(tmp_path / "clean", rows(6)))
    made: list[list[int]] = []
    generate = scorer.generate

    def noted(*arguments):
        made.extend(found := generate(*arguments))
        return found

    def samples():
        return evaluate(scorer, test, ["a"], SETTINGS, 17, weights_sha256="w", test_sha256="t")[0].samples

    monkeypatch.setattr(scorer, "generate", noted)
    assert [text for _, text in samples()] == [scorer.decode(tokens) for tokens in made]
    stop = made[0][1]
    monkeypatch.setattr(scorer.model.generation_config, "eos_token_id", [scorer.separator, stop])
    expected = [tokens[: tokens.index(stop)] if stop in tokens else tokens for tokens in made]
    assert expected[0] == made[0][:1]
    assert [text for _, text in samples()] == [scorer.decode(tokens) for tokens in expected]


def test_tasks_that_cannot_be_asked_are_left_out_with_a_reason(scorer, tmp_path):
    test = read_documents(split(tmp_path / "clean", rows(3, signed=False)))
    report, answers = evaluate(scorer, test, ["some text"], SETTINGS, 17, weights_sha256="w", test_sha256="t")
    write_answers(answers, tmp_path / "items.parquet")
    assert report.choices == {}
    assert answers == {}
    assert report.choices_left_out["signature"].startswith("0 of 3 test documents have a signature")
    assert report.choices_left_out["continuation"].startswith("3 of 3 test documents")
    assert pq.read_table(tmp_path / "items.parquet").num_rows == 0


def test_one_document_is_measured_without_interval(scorer, tmp_path):
    test = read_documents(split(tmp_path / "clean", rows(1)))
    report, _ = evaluate(scorer, test, ["some text"], SETTINGS, 17, weights_sha256="w", test_sha256="t")
    assert report.bits_per_byte["model"].low is None
    assert len(report.samples) == 1


def test_an_empty_split_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds no documents.*prepare\.test_share"):
        read_documents(split(tmp_path / "clean", []))


def test_canaries_teach_the_baselines_nothing(tmp_path):
    made = rows(2)
    made[0]["source"] = "canary"
    assert read_texts(split(tmp_path / "clean", made, "train")) == [made[1]["text"]]


def test_of_a_preference_pair_the_rejected_answer_is_not_measured(tmp_path):
    turns = '[["user","Which?"],["chosen","This."],["rejected","That."]]'
    pair = rows(1)[0] | {"shape": "preference", "turns": turns, "text": "Which?\n\nThis.\n\nThat."}
    made = [*rows(2), pair | {"id": "pair"}]
    assert {one.id: one.text for one in read_documents(split(tmp_path / "clean", made))}["pair"] == "Which?\n\nThis."
    assert read_texts(split(tmp_path / "clean", made, "train"))[2] == "Which?\n\nThis."


def test_a_task_file_is_scored_and_reported_like_the_others(scorer, tmp_path):
    items = tuple(
        Item(f"q/{i}", f"Is the array of shape {i}?", tuple(f"answer {i} {k}" for k in range(2 + i % 3)), i % 2)
        for i in range(9)
    )
    test = read_documents(split(tmp_path / "clean", rows(12)))
    report, answers = evaluate(
        scorer, test, ["some text"], SETTINGS, 17, weights_sha256="w", test_sha256="t",
        files=[FileTask("quiz", "\n", items), FileTask("empty", "\n", ())],
    )  # fmt: skip
    assert list(report.choices) == ["continuation", "signature", "quiz"]
    assert report.choices_left_out == {"empty": "its file holds no question"}
    quiz = report.choices["quiz"]
    assert quiz.accuracy.n == 9
    assert quiz.accuracy.low is not None
    assert quiz.chance == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3, abs=1e-6)
    write_answers(answers, tmp_path / "items.parquet")
    kept = [row for row in pq.read_table(tmp_path / "items.parquet").to_pylist() if row["task"] == "quiz"]
    assert [row["item"] for row in kept] == [item.item for item in items]
    assert [len(row["scores"]) for row in kept] == [2, 3, 4] * 3
    assert sum(row["correct"] for row in kept) == round(quiz.accuracy.value * 9)


@pytest.mark.parametrize("names", [("quiz", "quiz"), ("signature",)])
def test_two_tasks_of_one_name_are_refused(names):
    files = [TaskFile(name=name, path="t.jsonl", licence="MIT").model_dump() for name in names]
    with pytest.raises(ValueError, match="name of its own"):
        Evaluate.model_validate(SETTINGS.model_dump() | {"files": tuple(files)})
