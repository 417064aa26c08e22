"""Tiny tasks with data of their own, and the harness's own backend to compare with."""

import copy
import functools
import json
from pathlib import Path

import numpy as np
import pytest

from slipway.evaluation.harness import library
from tests.evaluation.conftest import WORDS, sentences

library.prepare()

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}> {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)
FILES = "{{test: {folder}/{data}.jsonl, train: {folder}/{data}.jsonl}}"
DATA = f"dataset_path: json\ndataset_kwargs: {{{{data_files: {FILES}}}}}\n"
COMMON = "test_split: test\nfewshot_split: train\n"
TASKS = {
    "tiny_choice": (
        "choice",
        'output_type: multiple_choice\ndoc_to_text: "{{stem}}"\ndoc_to_choice: "{{choices}}"\ndoc_to_target: label\n'
        "metric_list: [{metric: acc}, {metric: acc_norm}]\n",
    ),
    "tiny_likelihood": (
        "choice",
        'output_type: loglikelihood\ndoc_to_text: "{{stem}}"\ndoc_to_target: "{{choices[0]}}"\n'
        "metric_list: [{metric: perplexity}, {metric: acc}]\n",
    ),
    "tiny_rolling": (
        "choice",
        'output_type: loglikelihood_rolling\ndoc_to_text: ""\ndoc_to_target: "{{long}}"\n'
        "metric_list: [{metric: word_perplexity}, {metric: bits_per_byte}]\n",
    ),
    "tiny_writing": (
        "choice",
        'output_type: generate_until\ndoc_to_text: "{{stem}}"\ndoc_to_target: "{{choices[1]}}"\n'
        'generation_kwargs: {until: ["e", "\\n"], max_gen_toks: 12}\n'
        "metric_list: [{metric: exact_match}]\n",
    ),
    "tiny_drawn": (
        "choice",
        'output_type: generate_until\ndoc_to_text: "{{stem}}"\ndoc_to_target: "{{choices[1]}}"\n'
        'generation_kwargs: {until: ["."], max_gen_toks: 8, do_sample: true, temperature: 1.0}\n'
        "metric_list: [{metric: exact_match}]\n",
    ),
}


def write_tasks(folder: Path) -> Path:
    """Data and YAML files; stems end in spaces, choices begin each other, and letters take several tokens."""
    rng = np.random.default_rng(7)
    tasks = folder / "tasks"
    tasks.mkdir(parents=True)
    docs = []
    for number, sentence in enumerate(sentences(14, 3, 5)):
        stem = sentence * 9 if number == 6 else sentence  # longer than the model sees
        words = [" ".join(rng.choice(WORDS, size)) for size in (1, 3, 2, 4)]
        words[1] = f"{words[0]} {words[1]}"
        if number % 4 == 1:
            words[2] = "naïve – 数 🜁"
        stem = f"Was ist 数é? {stem} " if number % 4 == 1 else stem
        docs.append({"stem": stem, "choices": words, "label": number % 4, "long": " ".join(sentences(number, number))})
    (folder / "choice.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    for name, (data, text) in TASKS.items():
        head = f"task: {name}\n" + DATA.format(folder=folder, data=data)
        (tasks / f"{name}.yaml").write_text(head + COMMON + text)
    group = "group: tiny_pair\ntask: [tiny_choice, tiny_half]\naggregate_metric_list: [{metric: acc}]\n"
    (tasks / "tiny_pair.yaml").write_text(group)
    half = (tasks / "tiny_choice.yaml").read_text().replace("task: tiny_choice", "task: tiny_half")
    (tasks / "tiny_half.yaml").write_text(half.replace('doc_to_text: "{{stem}}"', 'doc_to_text: ""'))
    return tasks


@pytest.fixture(scope="session", autouse=True)
def _installed_tasks_are_read_once():
    """The harness reads thousands of YAML files, ten seconds, for every catalogue; they do not change meanwhile."""
    from lm_eval.tasks import manager

    build, installed = manager.TaskIndex.build, Path(manager.__file__).parent
    once = functools.cache(lambda: build([installed]))

    def built(paths):
        return {
            name: entry
            for path in paths
            for name, entry in (copy.deepcopy(once()) if path == installed else build([path])).items()
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manager.TaskIndex, "build", staticmethod(built))
        yield


@pytest.fixture(scope="session")
def tasks(tmp_path_factory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("harness"))


@pytest.fixture(scope="session")
def talking(tokenizer):
    """The tokenizer with a chat template and a token for padding."""
    words = copy.deepcopy(tokenizer)
    words.chat_template, words.pad_token = TEMPLATE, words.eos_token
    return words
