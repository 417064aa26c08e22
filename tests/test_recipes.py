"""The recipes to start from: what they say of themselves in comments holds, and what is commented out would parse."""

import re
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML

from slipway.model.build import configure
from slipway.recipe import load, parse
from slipway.settings import FileSource

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
NAMES = [path.name for path in RECIPES]
OF_A_BASE = 49_152
"""Vocabulary where the tokenizer is a base's; any will do for a configuration."""


def _parameters(path: Path) -> int:
    from transformers import AutoModelForCausalLM

    recipe = load(path)
    vocabulary = recipe.tokenize.vocabulary or OF_A_BASE
    config = configure(recipe.train.architecture or {}, vocabulary, recipe.train.sequence_length)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_the_architecture_can_be_built(path):
    if load(path).train.start == "scratch":
        assert _parameters(path) > 0


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_the_parameters_in_the_comments_are_counted(path):
    stated = re.search(
        r"([\d,]+) parameters with this vocabulary|vocabulary: ([\d,]+) parameters", path.read_text("utf-8")
    )
    if stated:
        assert int((stated[1] or stated[2]).replace(",", "")) == _parameters(path)


@pytest.mark.parametrize(("name", "per_parameter"), [("gpu-1.yaml", 20), ("gpu-8.yaml", 20), ("distill.yaml", 40)])
def test_the_steps_see_the_tokens_per_parameter_that_they_state(name, per_parameter):
    train = load(ROOT / "recipes" / name).train
    tokens = train.steps * train.batch_size * train.sequence_length
    assert tokens / _parameters(ROOT / "recipes" / name) == pytest.approx(per_parameter, rel=0.02)


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_its_licences_may_enter_and_leave(path):
    recipe = load(path)
    licences = {source.licence for source in recipe.acquire.sources if isinstance(source, FileSource)}
    assert licences <= set(recipe.prepare.licences)


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_the_price_would_parse(path):
    text = path.read_text("utf-8")
    with_price = text.replace("# price: {", "price: {")
    recipe = parse(YAML(typ="safe").load(with_price), path.name)
    assert (recipe.bundle.price is not None) == (with_price != text)
    assert load(path).bundle.price is None  # what a device costs is the reader's to say


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_its_gate_asks_for_what_the_stages_measure(path):
    recipe = load(path)
    exposure = any("canary_exposure" in check.value for check in recipe.release.gate.checks)
    assert exposure == (recipe.prepare.canaries.per_level > 0)
