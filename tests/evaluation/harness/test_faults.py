"""YAML, data and functions of a task that do not fit each other: refused by name, or not run with the reason."""

import json
from pathlib import Path

import pytest

from slipway.errors import UserError
from slipway.evaluation import harness
from slipway.evaluation.scoring import Scorer
from slipway.settings.evaluate import HarnessTask


@pytest.fixture(scope="module")
def scorer(model, talking):
    return Scorer(model, talking, context=64)


def ask(scorer, tasks: Path, *asked: HarnessTask):
    return harness.run(scorer, asked, tasks, seed=17, resamples=50, say=lambda *_: None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('"{{stem}}"', '"{{stme}}"'), "UndefinedError: 'stme' is undefined"),
        (('"{{stem}}"', '"{{stem"'), "TemplateSyntaxError: unexpected end of template"),
        (("test_split: test", "test_split: tset"), "KeyError: 'tset'"),
        (("metric_list", "process_docs: !function nowhere.clean\nmetric_list"), "ImportError: Cannot import module"),
        (("metric_list", "process_docs: !function broken.clean\nmetric_list"), "SyntaxError: "),
        (("choice.jsonl", "broken.jsonl"), "DatasetGenerationError: .*JSON parse error"),
    ],
)
def test_a_yaml_that_does_not_fit_its_data_is_refused_by_name(scorer, tasks, tmp_path, change, words):
    (tmp_path / "broken.py").write_text("def clean(docs:\n")
    (tasks.parent / "broken.jsonl").write_text('{"stem": 1,\nxx')
    text = (tasks / "tiny_choice.yaml").read_text().replace("task: tiny_choice", "task: faulty")
    (tmp_path / "faulty.yaml").write_text(text.replace(*change))
    with pytest.raises(UserError, match=rf"task faulty \(.*faulty\.yaml\) is not one that lm_eval takes: {words}"):
        ask(scorer, tmp_path, HarnessTask(name="faulty"))


def data(tasks: Path, tmp_path: Path, change) -> HarnessTask:
    """`tiny_choice` on items that `change`, of number and item, has altered."""
    docs = [json.loads(line) for line in (tasks.parent / "choice.jsonl").read_text().splitlines()]
    lines = [json.dumps(doc | change(number, doc)) + "\n" for number, doc in enumerate(docs)]
    (tmp_path / "other.jsonl").write_text("".join(lines))
    text = (tasks / "tiny_choice.yaml").read_text().replace("task: tiny_choice", "task: other")
    (tmp_path / "other.yaml").write_text(text.replace(f"{tasks.parent}/choice.jsonl", f"{tmp_path}/other.jsonl"))
    return HarnessTask(name="other")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda number, _: {"label": None} if number == 3 else {}, (None, "lm_eval stopped: TypeError: ")),
        (lambda _, doc: {"label": str(doc["label"])}, (None, "no item's `doc_to_target` is the number or the text of")),
        (lambda number, doc: {"choices": ["", *doc["choices"][1:]]} if number == 3 else {},
         ("acc_norm", "acc_norm: item 3 has an empty choice")),
    ],
)  # fmt: skip
def test_items_that_cannot_be_judged_are_not_run(scorer, tasks, tmp_path, change, said):
    metric, words = said
    asked = data(tasks, tmp_path, change).model_copy(update={"metric": metric})
    reports, items, not_run = ask(scorer, tmp_path, asked)
    assert (reports, items) == ({}, [])
    assert words in not_run["other"]


def test_an_empty_file_of_items_is_not_run_and_names_no_place_of_this_machine(scorer, tasks, tmp_path):
    asked = data(tasks, tmp_path, lambda *_: {})
    (tmp_path / "other.jsonl").write_text("")
    assert "it has no items" in ask(scorer, tmp_path, asked)[2]["other"]
    assert str(tmp_path) not in ask(scorer, tmp_path, asked)[2]["other"]


def test_an_item_whose_right_choice_is_not_there_counts_as_wrong(scorer, tasks, tmp_path):
    asked = data(tasks, tmp_path, lambda number, _: {"label": 9} if number == 3 else {})
    reports, items, _ = ask(scorer, tmp_path, asked)
    assert reports["other"].measure.n == 14
    assert (items[3].right, items[3].value) == (None, 0.0)


def test_written_answers_that_are_all_wrong_keep_an_interval(scorer, tasks, tmp_path):
    text = (tasks / "tiny_drawn.yaml").read_text().replace("task: tiny_drawn", "task: hard")
    (tmp_path / "hard.yaml").write_text(text.replace("{{choices[1]}}", "zzzz"))
    found = ask(scorer, tmp_path, HarnessTask(name="hard", seeds=(1, 2)))[0]["hard"].measure
    assert (found.value, found.low, found.n) == (0, 0, 14)
    assert found.high > 0.2


def test_installed_tasks_that_need_what_is_not_there_say_what_and_name_no_place_of_this_machine(scorer, tmp_path):
    names = ("humaneval", "longbench_2wikimqa", "minerva_math_algebra")
    reports, items, not_run = ask(scorer, tmp_path, *(HarnessTask(name=name) for name in names))
    assert (reports, items) == ({}, [])
    for name in names:
        assert "package None" not in not_run[name]
        assert str(Path.cwd()) not in not_run[name]
