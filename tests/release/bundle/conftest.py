"""A project that has come as far as `bundle`: a tiny real model and tokenizer, and records of the stages before."""

import copy
import json
import shutil
from pathlib import Path

import pytest

from slipway import recipe
from slipway.files import digests, sha256_file
from slipway.records import StageRecord
from tests import data_records

ROOT = Path(__file__).parents[3]


def measure(value, low=None, high=None, n=100, method="Wilson"):
    return {"value": value, "low": low, "high": high, "n": n, "method": method}


def probe(name, status, reason, measures):
    return {"name": name, "status": status, "reason": reason, "measures": measures, "details": {}}


def results(weights):
    """Stage -> result, consistent with each other."""
    choice = {
        "accuracy": measure(0.34, 0.28, 0.40, 247),
        "chance": 0.25,
        "definition": "one of four | by <mean> log-likelihood",
    }
    return {
        **data_records.results(),
        "train": data_records.train(weights),
        "evaluate": {
            "weights_sha256": weights, "test_sha256": "23" * 32, "test_documents": 60, "test_bytes": 6100,
            "bits_per_byte": {
                "model": measure(1.9871, 1.95, 2.02, 60, "bootstrap over documents"), "gzip": measure(2.0912, n=60),
                "xz": measure(1.8134, n=60), "zstd_dictionary": measure(1.8551, n=60),
                "byte_5gram": measure(2.2213, n=60),
            },
            "bits_per_byte_by_source": {"pydocs/numpy": 1.9871},
            "choices": {"continuation": choice, "signature": choice},
            "samples": [["Return the", " <b>array</b> of x"]],
        },
        "safety": {
            "weights_sha256": weights,
            "probes": {
                "canary_exposure": probe("canary_exposure", "run", "", {"exposure_1": measure(1.5, 0.2, 2.9, 3)}),
                "toxicity": probe("toxicity", "not run", "no labelled set ships with Slipway", {}),
            },
        },
    }  # fmt: skip


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
    made["tokenize"]["tokenizer_sha256"] = sha256_file(directory / "models/tokenizer/tokenizer.json")
    for stage, result in made.items():
        out = digests(directory / outputs[stage], directory) if stage in outputs else {f"data/{stage}": "45" * 32}
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
