"""Clean bundles of many architectures, as the libraries write them: none is refused."""

import pytest

from slipway.scan.incoming import scan_input
from slipway.scan.verdict import scan
from tests.scan.corpus import clean

LIMIT = 1 << 30


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    return clean.bundles(tmp_path_factory.mktemp("clean"))


@pytest.mark.timeout(300)
def test_no_clean_bundle_is_refused(bundles):
    kinds = {name.partition("-")[2] for name in bundles}
    assert len(bundles) >= 40
    assert len(kinds) >= 40
    refused = {}
    for name, path in bundles.items():
        report = scan(path, LIMIT)
        if not report.passed:
            refused[name] = [(finding.rule, finding.path, finding.reason) for finding in report.findings]
    assert not refused


def test_as_a_base_from_elsewhere_neither(bundles):
    assert all(scan_input(path).passed for name, path in bundles.items() if name.endswith(("-llama", "-qwen2", "gpt2")))


def test_what_makes_them_different(bundles):
    """The variety that a scan of real repositories meets is in there."""
    files = {path.name for directory in bundles.values() for path in directory.rglob("*")}
    assert files >= {
        *("model.safetensors", "model.safetensors.index.json", "config.json", "generation_config.json", "README.md"),
        *(
            "tokenizer.json",
            "tokenizer_config.json",
            "chat_template.jinja",
            "tokenizer.model",
            "vocab.json",
            "merges.txt",
        ),
        *("added_tokens.json", "special_tokens_map.json", "preprocessor_config.json", "adapter_config.json"),
        *("adapter_model.safetensors", "LICENSE", "NOTICE"),
    }
