"""A project that has come as far as `bundle`: a tiny real model and tokenizer, and records of the stages before."""

import copy
import json
import shutil
from pathlib import Path

import pytest

from slipway import items, recipe
from slipway.files import digests, sha256_file
from slipway.records import StageRecord
from tests import data_records, evaluation_records, release_project
from tests.evaluation_records import IDENTITY

ROOT = Path(__file__).parents[3]


def measure(value, low=None, high=None, n=100, method="Wilson"):
    return {"value": value, "low": low, "high": high, "n": n, "method": method}


def probe(name, status, reason, measures, **details):
    return {"name": name, "status": status, "reason": reason, "measures": measures, "details": details}


def task(found, unit="share right", better="higher", **more):
    """A task's report; `more` sets its other fields."""
    return {
        "measure": found, "unit": unit, "better": better, "definition": "one of four | by <mean> log-likelihood",
        "identity": IDENTITY, "references": {"chance": measure(0.25, n=found["n"], method="no interval: known")},
    } | more  # fmt: skip


def tasks():
    """Every kind of task, with all that a task's report can hold."""
    families = "percentile bootstrap over families of similar items"
    calibration = {
        "expected_error": measure(0.0812, 0.05, 0.13, 247, families),
        "bins": [{"confidence": c, "accuracy": a, "n": n} for c, a, n in ((0.3, 0.28, 120), (0.5, 0.41, 90))],
    }
    worst = [{"item": "doc-9#q", "value": 3.25, "prompt": "Return the", "expected": "array", "given": "banana"}]
    bits = {
        "definition": "bits per UTF-8 byte of held-out text",
        "references": {
            "gzip": measure(2.0912, n=60), "xz": measure(1.8134, n=60), "zstd_dictionary": measure(1.8551, n=60),
            "byte_5gram": measure(2.2213, n=60),
        },
        "groups": {"pydocs/numpy": measure(1.9871, 1.95, 2.02, 60, families)},
        "worst": [{"item": "doc-3", "value": 5.5, "prompt": "0x00ff", "expected": "", "given": ""}],
    }  # fmt: skip
    return {
        "bits_per_byte": task(measure(1.9871, 1.95, 2.02, 60, families), "bits per byte", "lower", **bits),
        "continuation": task(measure(0.34, 0.28, 0.40, 247), calibration=calibration, worst=worst),
        "signature": task(measure(0.34, 0.28, 0.40, 247)),
        "hellaswag": task(
            measure(0.27, 0.24, 0.3, 400), identity=IDENTITY | {"harness": "lm_eval 0.4.9"}, seeds=[17, 18],
            metrics={"acc_norm": measure(0.29, 0.26, 0.32, 400)},
        ),
    }  # fmt: skip


def results(weights):
    """Stage -> result, consistent with each other."""
    return {
        **data_records.results(),
        "train": data_records.train(weights),
        "evaluate": {
            "weights_sha256": weights, "test_sha256": "23" * 32, "test_documents": 60, "test_bytes": 6100,
            "tasks": tasks(), "not_run": {"question": "no held-out conversation"},
            "samples": [
                {"prompt": "Return the", "text": " <b>array</b> of x", "decoding": "greedy", "seed": None},
                {"prompt": "", "text": "Raises", "decoding": "temperature 1", "seed": 4711},
            ],
        },
        "safety": {
            "weights_sha256": weights,
            "probes": {
                "canary_exposure": probe(
                    "canary_exposure", "run", "", {"exposure_1": measure(1.5, 0.2, 2.9, 3)}, fills="10,000 per canary"
                ),
                "toxicity": probe("toxicity", "not run", "no labelled set ships with Slipway", {}),
                "chat_template": probe("chat_template", "not applicable", "the tokenizer has no chat template", {}),
            },
        },
    }  # fmt: skip


@pytest.fixture(scope="session")
def default_values(default_values):
    """The default recipe with a short policy, so that these tests do not hang on the default one."""
    found = copy.deepcopy(default_values)
    exposure = {
        "report": "safety", "value": "probes.canary_exposure.measures.exposure_1.value", "relation": "below",
        "bound": 6, "reason": "not memorised", "tier": "supporting",
    }  # fmt: skip
    found["release"]["gate"] = release_project.GATE | {"checks": [*release_project.GATE["checks"], exposure]}
    return found


def _model(directory):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["Return the array of the given shape."] * 4, trainer)
    end = "<|endoftext|>"
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=end, eos_token=end).save_pretrained(
        directory / "models/tokenizer"
    )
    set_seed(0)
    config = LlamaConfig(
        vocab_size=300, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(directory / "models/trained")


@pytest.fixture(scope="session")
def _template(tmp_path_factory, default_values):
    directory = tmp_path_factory.mktemp("bundle-project")
    _model(directory)
    (directory / "reports").mkdir()
    weights = sha256_file(directory / "models/trained/model.safetensors")
    outputs = {"train": "models/trained", "tokenize": "models/tokenizer"}
    made = results(weights)
    items.write(evaluation_records.items(), directory / "reports" / items.NAME)
    made["tokenize"]["tokenizer_sha256"] = sha256_file(directory / "models/tokenizer/tokenizer.json")
    for stage, result in made.items():
        out = digests(directory / outputs[stage], directory) if stage in outputs else {f"data/{stage}": "45" * 32}
        if stage == "evaluate":
            out = {f"reports/{items.NAME}": sha256_file(directory / "reports" / items.NAME)}
        record = StageRecord(stage=stage, slipway="0.1.0", settings={}, inputs={}, outputs=out, result=result)
        (directory / f"reports/{stage}.json").write_text(record.to_json())
    lines = [
        {"step": step, "tokens": step * 2048, "loss": 7 - step / 6, "learning_rate": 0.01, "grad_norm": 1.0,
         "validation_loss": 3.6 if step % 10 == 0 else None}
        for step in range(1, 21)
    ]  # fmt: skip
    (directory / "reports/train_log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (directory / "inputs.lock").write_text('{"format": 1}\n')
    shutil.copy(ROOT / "constraints.txt", directory / "constraints.txt")
    return directory


@pytest.fixture
def project(_template, tmp_path):
    """Root of a project ready to be bundled; a test may change it."""
    return Path(shutil.copytree(_template, tmp_path / "project"))


@pytest.fixture
def default_recipe(default_values):
    return recipe.parse(copy.deepcopy(default_values))


@pytest.fixture(scope="session")
def built(_template, tmp_path_factory, default_values):
    """A bundle that no test may change."""
    from slipway.release.bundle.assemble import assemble

    out = tmp_path_factory.mktemp("built") / "bundle"
    assemble(_template, recipe.parse(copy.deepcopy(default_values)), out)
    return out


@pytest.fixture
def bundle(built, tmp_path):
    """A copy of it that a test may change."""
    return Path(shutil.copytree(built, tmp_path / "bundle"))
