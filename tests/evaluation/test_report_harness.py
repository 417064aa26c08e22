"""Tasks of lm-evaluation-harness stand in the report beside the own ones, of the model and of its base."""

import json

import pytest

from slipway.evaluation.beside import Base
from slipway.evaluation.report import evaluate
from slipway.settings.evaluate import HarnessTask
from tests.evaluation.made import SETTINGS, described, grown, material

pytest.importorskip("lm_eval")

TASK = """
task: mine
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}\\n"
doc_to_choice: choices
doc_to_target: answer
metric_list: [{{metric: acc}}]
"""


@pytest.fixture
def folder(tmp_path):
    """A project's own task, as docs/evaluation.md shows it."""
    place = tmp_path / "tasks"
    place.mkdir()
    rows = [
        {"question": f"Sort the array of {i}?", "choices": [f"value {i}", f"index {k}"], "answer": i % 2}
        for i, k in zip(range(24), range(24, 48), strict=True)
    ]
    (place / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (place / "mine.yaml").write_text(TASK.format(data=place / "mine.jsonl"), "utf-8")
    return place


def test_a_yaml_of_the_project_is_a_task_like_the_others(talking, model, words, folder):
    settings = SETTINGS.model_copy(update={"harness": (HarnessTask(name="mine", few_shot=0),)})
    base = Base("b", lambda: grown(model, words, noise=0.3))
    report, items = evaluate(
        talking, material(described(12), settings=settings), weights_sha256="w", harness_tasks=folder, base=base
    )
    assert list(report.tasks) == ["bits_per_byte", "continuation", "signature", "mine"]
    mine = report.tasks["mine"]
    assert mine.identity.harness.startswith("lm_eval ")
    own, other = ([item for item in items if (item.task, item.model) == ("mine", name)] for name in ("model", "base"))
    assert len(own) == len(other) == 24
    assert [item.item for item in own] == [item.item for item in other]
    assert mine.measure.value == pytest.approx(sum(item.value for item in own) / 24, abs=1e-6)
    assert mine.base.value == pytest.approx(sum(item.value for item in other) / 24, abs=1e-6)
    assert mine.base_difference.value == pytest.approx(mine.measure.value - mine.base.value, abs=2e-6)
    assert mine.base_difference.low < mine.base_difference.value < mine.base_difference.high


def test_a_harness_task_that_cannot_be_asked_is_not_run(talking, tmp_path, monkeypatch):
    """An installed task whose data is not on this machine."""
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    settings = SETTINGS.model_copy(update={"harness": (HarnessTask(name="arc_easy", few_shot=0),)})
    report, _ = evaluate(talking, material(described(12), settings=settings), weights_sha256="w")
    assert "arc_easy" not in report.tasks
    assert report.not_run["arc_easy"]
