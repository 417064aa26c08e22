"""The bundle as a whole: layout, loading by a third party, rebuild, and materials that do not belong together."""

import copy
import json
from dataclasses import replace

import pytest

from slipway import items, recipe
from slipway.errors import Refusal, UserError
from slipway.files import digests, sha256_file
from slipway.release.bundle import manifest
from slipway.release.bundle.assemble import assemble
from tests import evaluation_records
from tests.data_records import edit


def test_layout(built):
    expected = {
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors",
        "README.md", "LICENSE", "DATA.md", "bom.cdx.json", "provenance.json", "report.html", "recipe.json",
        "inputs.lock", "openness.json", "manifest.json", "records/evaluate_items.parquet",
        *(f"records/{s}.json" for s in ("acquire", "validate", "prepare", "tokenize", "train", "evaluate", "safety")),
    }  # fmt: skip
    assert set(digests(built, built)) == expected


def test_a_third_party_loads_it_and_generates(built):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(built)
    model = AutoModelForCausalLM.from_pretrained(built)
    with torch.no_grad():
        tokens = model.generate(**tokenizer("Return the", return_tensors="pt"), max_new_tokens=4, do_sample=False)
    assert tokens.shape[1] > 2


def test_a_rebuild_is_equal_byte_for_byte(project, default_recipe, tmp_path):
    first = assemble(project, default_recipe)
    before = digests(project / "bundle", project / "bundle")
    (project / "bundle/stale.txt").write_text("left over")
    second = assemble(project, default_recipe)
    elsewhere = assemble(project, default_recipe, tmp_path / "elsewhere")
    assert first == second == elsewhere
    assert (
        before
        == digests(project / "bundle", project / "bundle")
        == digests(tmp_path / "elsewhere", tmp_path / "elsewhere")
    )
    assert first.bundle_digest == sha256_file(project / "bundle/manifest.json") == manifest.digest(project / "bundle")
    assert first.files == len(before)


def test_no_path_of_this_machine_in_any_document(built, project):
    for path in built.rglob("*"):
        if path.is_file():
            assert b"/tmp/" not in path.read_bytes(), path


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_weights_that_train_did_not_record_are_refused(project, default_recipe, name):
    path = project / "models/trained" / name
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    with pytest.raises(Refusal, match=name):
        assemble(project, default_recipe)


@pytest.mark.parametrize("stage", ["train", "evaluate", "safety"])
def test_a_report_about_other_weights_is_refused(project, default_recipe, stage):
    path = project / f"reports/{stage}.json"
    record = json.loads(path.read_text())
    record["result"]["weights_sha256"] = "00" * 32
    path.write_text(json.dumps(record))
    with pytest.raises(Refusal, match=f"reports/{stage}.json"):
        assemble(project, default_recipe)


def test_the_item_table_is_the_one_that_evaluate_recorded(project, default_recipe):
    table = project / "reports" / items.NAME
    assemble(project, default_recipe)
    assert (project / "bundle/records" / items.NAME).read_bytes() == table.read_bytes()
    rows = [replace(row, value=0.0) for row in evaluation_records.items()]
    items.write(rows, table)
    with pytest.raises(Refusal, match=r"evaluate_items\.parquet: sha256 is .* --force evaluate"):
        assemble(project, default_recipe)
    table.unlink()
    with pytest.raises(UserError, match=r"reports/evaluate_items\.parquet: no such file"):
        assemble(project, default_recipe)


def test_a_missing_report_names_itself(project, default_recipe):
    (project / "reports/safety.json").unlink()
    with pytest.raises(UserError, match=r"safety\.json"):
        assemble(project, default_recipe)


def test_a_report_under_another_name_is_refused(project, default_recipe):
    (project / "reports/prepare.json").write_bytes((project / "reports/acquire.json").read_bytes())
    with pytest.raises(UserError, match="of acquire, not of prepare"):
        assemble(project, default_recipe)


def test_a_broken_training_log_names_the_line(project, default_recipe):
    with open(project / "reports/train_log.jsonl", "a") as log:
        log.write('{"step": 21\n')
    with pytest.raises(UserError, match="line 21"):
        assemble(project, default_recipe)


def test_a_link_in_place_of_weights_is_refused(project, default_recipe):
    path = project / "models/trained/model.safetensors"
    path.rename(project / "elsewhere")
    path.symlink_to(project / "elsewhere")
    with pytest.raises(Refusal, match="link"):
        assemble(project, default_recipe)


def checked_for(project, licence):
    edit(project, "prepare", lambda result: result.update(release_licence=licence))


@pytest.mark.parametrize(
    ("expression", "words"),
    [("MIT", ["MIT License"]), ("Apache-2.0 OR MIT", ["Apache License", "MIT License", "SPDX-License-Identifier"])],
)
def test_licence_text(project, default_values, expression, words):
    values = copy.deepcopy(default_values)
    values["bundle"]["licence"] = expression
    checked_for(project, expression)
    assemble(project, recipe.parse(values))
    text = (project / "bundle/LICENSE").read_text()
    assert all(word in text for word in words)


def test_licence_without_a_text_asks_for_it(project, default_values):
    values = copy.deepcopy(default_values)
    values["bundle"]["licence"] = "BSD-3-Clause"
    with pytest.raises(UserError, match=r"LICENSES/BSD-3-Clause\.txt"):
        assemble(project, recipe.parse(values))
    checked_for(project, "BSD-3-Clause")
    (project / "LICENSES").mkdir()
    (project / "LICENSES/BSD-3-Clause.txt").write_text("Redistribution and use …\n")
    assemble(project, recipe.parse(values))
    assert (project / "bundle/LICENSE").read_text() == "Redistribution and use …\n"


def test_licence_that_is_none(project, default_values):
    values = copy.deepcopy(default_values)
    values["bundle"]["licence"] = "Do what you want"
    with pytest.raises(UserError, match="SPDX"):
        assemble(project, recipe.parse(values))
