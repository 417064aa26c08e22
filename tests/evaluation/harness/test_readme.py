"""The example of tasks/README.md works as it stands."""

import re
from pathlib import Path

import pytest

from slipway.evaluation import harness
from slipway.evaluation.scoring import Scorer
from slipway.settings.evaluate import HarnessTask


def test_the_example_is_a_task(model, talking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = (Path(__file__).parents[3] / "tasks" / "README.md").read_text()
    data, task, _ = (block for _, block in re.findall(r"```(json|yaml)\n(.*?)```", text, re.DOTALL))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "methods.jsonl").write_text(data)
    (tmp_path / "tasks" / "methods.yaml").write_text(task)
    monkeypatch.chdir(tmp_path)
    scorer = Scorer(model, talking, context=64)
    asked = [HarnessTask(name="methods")]
    reports, items, not_run = harness.run(scorer, asked, Path("tasks"), seed=1, resamples=20, say=lambda *_: None)
    assert not_run == {}
    assert reports["methods"].measure.n == 3
    assert [item.right for item in items] == [0, 1, 2]
    assert list(reports["methods"].metrics) == ["acc_norm"]
