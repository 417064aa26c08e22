"""Whole tasks: the harness's metrics from its own backend, ours as reports and items."""

import json
import subprocess
import sys
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


def theirs(model, talking, tasks: Path, name: str, **settings) -> dict:
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    backend = HFLM(pretrained=model, tokenizer=talking, batch_size=4, max_length=64)
    manager = TaskManager(include_path=str(tasks), include_defaults=False)
    return lm_eval.simple_evaluate(backend, tasks=[name], task_manager=manager, bootstrap_iters=0, **settings)


@pytest.mark.parametrize(("shown", "chat"), [(None, False), (2, False), (2, True)])
@pytest.mark.parametrize("name", ["tiny_choice", "tiny_likelihood", "tiny_writing"])
def test_metrics_and_scores_are_those_of_the_harness(scorer, tasks, name, chat, shown):
    model, talking = scorer.model, scorer.tokenizer
    settings = {"num_fewshot": shown, "apply_chat_template": chat, "fewshot_as_multiturn": chat}
    expected = theirs(model, talking, tasks, name, fewshot_random_seed=5, **settings)
    metric = {"tiny_likelihood": "acc"}.get(name)
    task = HarnessTask(name=name, few_shot=shown, chat=chat, seeds=(5,), metric=metric)
    reports, items, not_run = ask(scorer, tasks, task)
    assert not_run == {}
    results = expected["results"][name]
    figure = {"tiny_writing": "exact_match"}.get(name, "acc")
    assert reports[name].measure.value == pytest.approx(results[f"{figure},none"], abs=1e-6)
    for other, measure in reports[name].metrics.items():
        assert measure.value == pytest.approx(results[f"{other},none"], rel=1e-4, abs=1e-6)
    assert len(items) == len(expected["samples"][name]) == 14
    for item, sample in zip(items, sorted(expected["samples"][name], key=lambda one: one["doc_id"]), strict=True):
        assert (item.item, item.value) == (str(sample["doc_id"]), sample[figure])
        if name == "tiny_choice":
            assert item.scores == pytest.approx([answer[0][0] for answer in sample["resps"]], abs=1e-4)
            assert item.value == (item.picked == item.right)


def test_whole_texts_are_measured_in_bits_per_byte(model, talking, scorer, tasks):
    expected = theirs(model, talking, tasks, "tiny_rolling")["results"]["tiny_rolling"]
    reports, items, _ = ask(scorer, tasks, HarnessTask(name="tiny_rolling"))
    report = reports["tiny_rolling"]
    assert (report.unit, report.better) == ("bits per byte", "lower")
    assert report.measure.value == pytest.approx(expected["bits_per_byte,none"], rel=1e-5)
    assert report.metrics["word_perplexity"].value == pytest.approx(expected["word_perplexity,none"], rel=1e-4)
    assert len(items) == 13, "one text is empty"
    assert sum(item.value for item in items) / sum(item.weight for item in items) == pytest.approx(
        report.measure.value, abs=1e-6
    )


def test_a_report_says_how_it_was_asked_and_what_went_worst(scorer, tasks):
    reports, items, _ = ask(scorer, tasks, HarnessTask(name="tiny_choice"))
    report = reports["tiny_choice"]
    assert report.identity.harness.startswith("lm_eval 0.4.")
    assert report.measure.low < report.measure.value < report.measure.high
    assert report.references["chance"].value == 0.25
    assert report.seeds == ()
    assert {item.seed for item in items} == {None}
    assert report.calibration
    worst = {item.item: max(item.scores) - item.scores[item.right] for item in items if item.right != item.picked}
    assert report.worst[0].value == pytest.approx(max(worst.values()), abs=1e-5)
    assert "no examples shown" in report.definition


def test_what_is_drawn_is_asked_once_for_each_seed(scorer, tasks):
    task = HarnessTask(name="tiny_drawn", seeds=(1, 2, 3))
    reports, items, _ = ask(scorer, tasks, task, HarnessTask(name="tiny_choice", few_shot=2, seeds=(1, 2)))
    assert reports["tiny_drawn"].seeds == (1, 2, 3)
    drawn = [item for item in items if item.task == "tiny_drawn"]
    assert [item.seed for item in drawn] == [1] * 14 + [2] * 14 + [3] * 14
    assert reports["tiny_drawn"].measure.n == 14, "an item drawn thrice is one family"
    shown = [item for item in items if item.task == "tiny_choice"]
    assert len({item.prompt_sha256 for item in shown}) > 14, "other seeds show other examples"
    assert ask(scorer, tasks, task)[1] == drawn


def test_a_group_counts_the_items_of_all_its_tasks(scorer, tasks):
    reports, items, _ = ask(scorer, tasks, HarnessTask(name="tiny_pair", limit=6))
    report = reports["tiny_pair"]
    assert len(items) == 12
    assert {item.item.split("/")[0] for item in items} == {"tiny_choice", "tiny_half"} == report.groups.keys()
    halves = [report.groups[name].value for name in ("tiny_choice", "tiny_half")]
    assert report.measure.value == pytest.approx(sum(halves) / 2, abs=1e-6)


def test_digests_change_with_what_they_stand_for_and_with_nothing_else(model, talking, scorer, tasks, tmp_path):
    def identity(folder: Path, **settings):
        return ask(scorer, folder, HarnessTask(name="tiny_choice", **settings))[0]["tiny_choice"].identity

    plain = identity(tasks)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    text = (tasks / "tiny_choice.yaml").read_text()
    data = tmp_path / "choice.jsonl"
    data.write_bytes((tasks.parent / "choice.jsonl").read_bytes())
    (moved / "tiny_choice.yaml").write_text(text.replace(str(tasks.parent), str(tmp_path)))
    assert identity(moved) == plain
    assert plain.differs(identity(tasks, few_shot=1)) == ["few_shot"]
    assert plain.differs(identity(tasks, chat=True)) == ["chat_template"]
    assert set(plain.differs(identity(tasks, limit=3))) == {"task", "data"}
    assert plain.differs(identity(tasks, metric="acc_norm")) == ["task"]
    (moved / "tiny_choice.yaml").write_text(text.replace('"{{stem}}"', '"{{stem}}!"'))
    assert plain.differs(identity(moved)) == ["prompt"]
    data.write_text(data.read_text().replace("array", "arrow"))
    (moved / "tiny_choice.yaml").write_text(text.replace(str(tasks.parent), str(tmp_path)))
    assert plain.differs(identity(moved)) == ["data"]
    # Other examples, the items being the same.
    train = f"train: {tasks.parent}/choice.jsonl"
    (moved / "tiny_choice.yaml").write_text(text.replace(train, f"train: {data}"))
    assert identity(tasks, few_shot=1) == identity(tasks, few_shot=1)
    assert identity(tasks, few_shot=1).differs(identity(moved, few_shot=1)) == ["few_shot"]


def test_a_function_counts_by_its_source_in_every_process(tmp_path, scorer, tasks):
    from slipway.evaluation.harness.identity import plain

    module = tmp_path / "extra.py"
    module.write_text("def clean(docs):\n    return docs\n")
    text = (tasks / "tiny_choice.yaml").read_text().replace("task: tiny_choice", "task: tiny_function")
    (tmp_path / "tiny_function.yaml").write_text(text + "process_docs: !function extra.clean\n")
    first = ask(scorer, tmp_path, HarnessTask(name="tiny_function"))[0]["tiny_function"].identity
    assert ask(scorer, tmp_path, HarnessTask(name="tiny_function"))[0]["tiny_function"].identity == first
    module.write_text("def clean(docs):\n    return docs.select(range(14))\n")
    changed = ask(scorer, tmp_path, HarnessTask(name="tiny_function"))[0]["tiny_function"].identity
    assert first.differs(changed) == ["task"]
    module.write_text("LAST = 13\n\ndef clean(docs):\n    return docs.select(range(LAST + 1))\n")
    called = ask(scorer, tmp_path, HarnessTask(name="tiny_function"))[0]["tiny_function"].identity
    module.write_text(module.read_text().replace("LAST = 13", "LAST = 12 + 1"))
    again = ask(scorer, tmp_path, HarnessTask(name="tiny_function"))[0]["tiny_function"].identity
    assert called.differs(again) == ["task"], "what a function uses counts with it"
    assert "0x" not in str(plain([print, len, {3, 1}]))


def test_what_cannot_be_asked_is_not_run_and_says_why(scorer, tasks, tmp_path):
    text = (tasks / "tiny_choice.yaml").read_text()
    doc = {"stem": "a", "choices": ["", "b"], "label": 0, "long": "a"}
    (tmp_path / "empty.jsonl").write_text(json.dumps(doc | {"choices": ["a", "b"]}) + "\n" + json.dumps(doc) + "\n")

    def add(name: str, changed: str) -> HarnessTask:
        (tmp_path / f"{name}.yaml").write_text(changed.replace("task: tiny_choice", f"task: {name}"))
        return HarnessTask(name=name)

    data = f"{tasks.parent}/choice.jsonl"
    asked = [
        add("empty_choice", text.replace(data, f"{tmp_path}/empty.jsonl").replace('target_delimiter: " "', "")
            + 'target_delimiter: ""\n'),
        add("unsafe", text + "unsafe_code: true\n"),
        add("f1", text.replace("[{metric: acc}, {metric: acc_norm}]", "[{metric: f1}]")),
        add("mcc", text.replace("[{metric: acc}, {metric: acc_norm}]", "[{metric: mcc}]")),
        add("none_left", text + "process_docs: !function extra.none\n"),
        add("long_answers", (tasks / "tiny_writing.yaml").read_text().replace("task: tiny_writing", "task: tiny_choice")
            .replace("max_gen_toks: 12", "max_gen_toks: 64")),
        add("remote", text.replace("dataset_path: json", "dataset_path: nobody/nothing")
            .replace("dataset_kwargs", "dataset_name: null\n#")),
    ]  # fmt: skip
    (tmp_path / "extra.py").write_text("def none(docs):\n    return docs.select([])\n")
    reports, items, not_run = ask(scorer, tmp_path, *asked)
    assert (reports, items) == ({}, [])
    for name, words in {
        "empty_choice": "has no tokens",
        "unsafe": "runs code that the model writes",
        "f1": "lm_eval stopped: Target is multiclass but average='binary'",
        "mcc": "mcc: computed over all items at once",
        "none_left": "it has no items",
        "long_answers": "up to 64 tokens are to be generated, and the model sees 64",
        "remote": "its data is not on this machine",
    }.items():
        assert words in not_run[name]
    assert "uses no network" in not_run["remote"]


def test_mistakes_of_the_recipe_are_refused(scorer, tasks, tmp_path):
    with pytest.raises(UserError, match=r"no task hella_swag.*did you mean .*hellaswag"):
        ask(scorer, tmp_path, HarnessTask(name="hella_swag"))
    with pytest.raises(UserError, match=r"bleu is no metric of tiny_choice; it has acc, acc_norm"):
        ask(scorer, tasks, HarnessTask(name="tiny_choice", metric="bleu"))
    text = (tasks / "tiny_choice.yaml").read_text()
    (tmp_path / "lost.yaml").write_text(
        text.replace("task: tiny_choice", "task: lost").replace("choice.jsonl", "x.jsonl")
    )
    with pytest.raises(UserError, match=r"task lost \(.*lost\.yaml\): .*x\.jsonl"):
        ask(scorer, tmp_path, HarnessTask(name="lost"))


def test_without_the_harness_nothing_is_run(tmp_path):
    script = (
        "import sys\nsys.modules['lm_eval'] = None\n"
        "from pathlib import Path\nfrom slipway.evaluation import harness\n"
        "from slipway.settings.evaluate import HarnessTask\n"
        "print(harness.run(None, [HarnessTask(name='x')], Path('.'), seed=1, resamples=9, say=print))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "({}, [], {'x': 'lm-evaluation-harness is not installed; run `pip install" in done.stdout
