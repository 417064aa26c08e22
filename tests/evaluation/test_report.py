"""The whole evaluation report on a tiny model: complete, and the same twice."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from slipway import items
from slipway.errors import UserError
from slipway.evaluation.documents import read_documents, read_texts
from slipway.evaluation.report import evaluate
from slipway.evaluation.samples import samples
from slipway.evaluation.tasks.file import FileTask, Item
from slipway.records import EvaluateReport
from slipway.settings import Choice, Evaluate, TaskFile
from tests.evaluation.made import SETTINGS, material, split, talks


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


def test_the_whole_report_twice(scorer, tmp_path):
    test = read_documents(split(tmp_path / "clean", rows(12)))
    assert [document.id for document in test] == sorted(document.id for document in test)
    given = material(test, [row["text"] for row in rows(40)])
    found = []
    for name in ("one", "two"):
        report, made = evaluate(scorer, given, weights_sha256="w")
        items.write(made, tmp_path / name)
        found.append((report.to_json(), (tmp_path / name).read_bytes()))
    assert found[0] == found[1]
    assert EvaluateReport.model_validate_json(found[0][0]) == report
    assert list(report.tasks) == ["bits_per_byte", "continuation", "signature"]
    bits = report.tasks["bits_per_byte"]
    assert list(bits.references) == ["gzip", "xz", "zstd_dictionary", "byte_5gram"]
    assert bits.measure.n == report.test_documents == 12
    assert report.test_bytes == sum(len(document.text) for document in test)
    assert list(bits.groups) == ["made/a", "made/b"]
    low, high = sorted(measure.value for measure in bits.groups.values())
    assert low <= bits.measure.value <= high
    assert all(group.low < group.value < group.high for group in bits.groups.values())
    assert len(bits.worst) == 5
    assert bits.worst[0].value >= bits.worst[-1].value > bits.measure.value
    for name in ("continuation", "signature"):
        task = report.tasks[name]
        assert task.measure.n == 8
        assert (task.references["chance"].value, task.references["chance"].low) == (0.25, None)
        assert "log p(choice | prompt) - log p(choice)" in task.definition
        assert sum(one.n for one in task.calibration.bins) == 8
        assert len(task.worst) == min(5, 8 - round(8 * task.measure.value))
    assert set(report.not_run) == {"answers"}


def test_every_figure_is_the_one_of_its_rows(scorer, tmp_path):
    """The item table holds all that a figure is made of: it can be computed again, and two models compared."""
    report, made = evaluate(scorer, material(read_documents(split(tmp_path / "clean", rows(12)))), weights_sha256="w")
    items.write(made, tmp_path / items.NAME)
    table = pq.read_table(tmp_path / items.NAME)
    assert table.schema == items.schema()
    for name, task in report.tasks.items():
        own = [row for row in table.to_pylist() if row["task"] == name]
        assert len({row["item"] for row in own}) == len(own)
        total = sum(row["value"] for row in own) / sum(row["weight"] for row in own)
        assert total == pytest.approx(task.measure.value, abs=1e-6)
        assert all(len(row["prompt_sha256"]) == 64 and row["model"] == "model" for row in own)
        if name != "bits_per_byte":
            assert all(len(row["scores"]) == 4 for row in own)
            assert all(row["value"] == (row["picked"] == row["right"]) for row in own)


def test_the_order_of_tasks_does_not_hang_on_what_was_run(talking, tmp_path):
    quiz = FileTask("quiz", "\n", tuple(Item(f"q/{i}", f"Is it {i}?", ("yes", "no"), i % 2) for i in range(9)))
    question = {"question": Choice(items=9, prompt_tokens=30, answer_tokens=8)}
    test = [*talks(12), *read_documents(split(tmp_path / "clean", rows(12)))]
    given = material(test, settings=SETTINGS.model_copy(update=question))
    report, made = evaluate(talking, given, weights_sha256="w", files=[quiz])
    order = ["bits_per_byte", "answers", "continuation", "signature", "question", "quiz"]
    assert list(report.tasks) == order
    assert list(dict.fromkeys(item.task for item in made)) == order
    without, _ = evaluate(talking, material(test), weights_sha256="w")
    assert "question" not in {**without.tasks, **without.not_run}
    changed = {name for name in without.tasks if without.tasks[name] != report.tasks[name]}
    assert not changed


def test_samples_are_greedy_and_drawn_and_end_where_a_generation_of_the_release_ends(scorer, tmp_path, monkeypatch):
    test = read_documents(split(tmp_path / "clean", rows(6)))
    made: list[list[int]] = []
    generate = scorer.generate

    def noted(*arguments):
        made.append(found := generate(*arguments))
        return found

    monkeypatch.setattr(scorer, "generate", noted)
    found = samples(scorer, test, 17)
    greedy, drawn = made
    assert [sample.text for sample in found[::2]] == [scorer.decode(tokens) for tokens in greedy]
    assert [sample.text for sample in found[1::2]] == [scorer.decode(tokens) for tokens in drawn]
    assert {(sample.decoding, sample.seed) for sample in found[::2]} == {("greedy", None)}
    assert {sample.decoding for sample in found[1::2]} == {"temperature 1"}
    assert len({sample.seed for sample in found[1::2]}) == 4
    assert all(one.prompt == other.prompt for one, other in zip(found[::2], found[1::2], strict=True))
    assert found[0].prompt.startswith("def f")
    stop = greedy[0][1]
    monkeypatch.setattr(scorer.model.generation_config, "eos_token_id", [scorer.separator, stop])
    expected = [tokens[: tokens.index(stop)] if stop in tokens else tokens for tokens in greedy]
    assert expected[0] == greedy[0][:1]
    assert [sample.text for sample in samples(scorer, test, 17)[::2]] == [scorer.decode(tokens) for tokens in expected]


def test_a_drawn_sample_is_drawn_again_from_its_seed(scorer, tmp_path):
    test = read_documents(split(tmp_path / "clean", rows(6)))
    for sample in samples(scorer, test, 17)[1::2]:
        (prompt,) = scorer.encode([sample.prompt])
        uniforms = np.random.default_rng(sample.seed).random((1, 32))
        (tokens,) = scorer.generate([[scorer.separator, *prompt]], 32, uniforms)
        assert scorer.decode(tokens) == sample.text
    assert samples(scorer, test, 17) != samples(scorer, test, 18)


def test_one_document_is_measured_without_interval(scorer, tmp_path):
    test = read_documents(split(tmp_path / "clean", rows(1)))
    report, _ = evaluate(scorer, material(test), weights_sha256="w")
    assert report.tasks["bits_per_byte"].measure.low is None
    assert len(report.samples) == 2


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
    made = tuple(
        Item(f"q/{i}", f"Is the array of shape {i}?", tuple(f"answer {i} {k}" for k in range(2 + i % 3)), i % 2)
        for i in range(9)
    )
    test = read_documents(split(tmp_path / "clean", rows(12)))
    report, found = evaluate(scorer, material(test), weights_sha256="w", files=[FileTask("quiz", "\n", made)])
    assert list(report.tasks) == ["bits_per_byte", "continuation", "signature", "quiz"]
    quiz = report.tasks["quiz"]
    assert quiz.measure.n == 9
    assert quiz.measure.low is not None
    assert quiz.groups == {}
    assert quiz.references["chance"].value == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3, abs=1e-6)
    kept = [item for item in found if item.task == "quiz"]
    assert [item.item for item in kept] == [item.item for item in made]
    assert [len(item.scores) for item in kept] == [2, 3, 4] * 3


@pytest.mark.parametrize("names", [("quiz", "quiz"), ("signature",)])
def test_two_tasks_of_one_name_are_refused(names):
    files = [TaskFile(name=name, path="t.jsonl", licence="MIT").model_dump() for name in names]
    with pytest.raises(ValueError, match="name of its own"):
        Evaluate.model_validate(SETTINGS.model_dump() | {"files": tuple(files)})
