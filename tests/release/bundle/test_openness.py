"""Openness is computed from files, records and licences: nothing counts that is not there or not open."""

import copy
import json
from dataclasses import replace

import pytest

from slipway import recipe
from slipway.records import OpennessReport
from slipway.release.bundle import openness, openness_found
from slipway.release.bundle.assemble import WRITTEN, assemble
from slipway.release.bundle.material import load
from slipway.release.bundle.open_licences import APPROVED, DATA, is_open
from tests.data_records import edit

FILES = (*WRITTEN, "model.safetensors", "config.json", "records/evaluate.json", "records/evaluate_items.parquet",
         "records/train.json")  # fmt: skip
BASE = {"location": "hf://owner/name", "version": "c0ffee", "licence": "MIT", "digest": "12" * 32, "files": 3,
        "bytes": 9}  # fmt: skip


def judged(project, values, files=FILES):
    report = openness.openness(load(project, recipe.parse(copy.deepcopy(values))), files)
    return report, {one.name: one for one in report.components}


def lines(report):
    return [(line.element, line.met) for line in report.osaid]


def without(name):
    return [path for path in FILES if path != name]


@pytest.mark.parametrize(
    ("expression", "any_open", "approved"),
    [
        ("MIT", True, True),
        ("mit", True, True),
        ("Apache-2.0 WITH LLVM-exception", True, True),
        ("GPL-3.0+", True, True),
        ("MIT AND LicenseRef-x", False, False),
        ("MIT OR CC-BY-NC-4.0", True, True),
        ("MIT AND (CC0-1.0 OR CC-BY-NC-4.0)", True, False),
        ("CC-BY-NC-4.0", False, False),
        ("CC-BY-ND-4.0", False, False),
        ("CC-BY-4.0", True, False),
        ("OpenMDW-1.0", True, True),
        ("LicenseRef-community", False, False),
        ("()", False, False),
        ("MIT AND", False, False),
        ("", False, False),
        (None, False, False),
    ],
)
def test_what_an_open_licence_is(expression, any_open, approved):
    assert is_open(expression) is any_open
    assert is_open(expression, approved=True) is approved


def test_every_id_of_the_lists_is_one_of_spdx():
    from license_expression import get_spdx_licensing

    known = get_spdx_licensing().known_symbols
    # Ids that the installed index does not know cannot be matched by an expression, and would be dead weight.
    assert {one for one in APPROVED | DATA if one not in known} == set()


def test_the_framework_has_six_components_in_class_three_eleven_in_two_and_fifteen_in_one():
    asked = [asked_by for _, _, asked_by, optional in openness.COMPONENTS if not optional]
    assert [asked.count("III"), asked.count("II"), asked.count("I")] == [6, 5, 4]
    assert len(openness.COMPONENTS) == 17


def test_a_bundle_of_ours_is_in_class_three_and_no_open_source_ai(built):
    report = OpennessReport.model_validate_json((built / "openness.json").read_text())
    assert (report.mof_class, report.osaid_met) == ("III", False)
    assert lines(report) == [*[("data information", True)] * 4, ("code", False), ("parameters", True)]
    for one in report.components:
        assert all((built / path).is_file() for path in one.where), one
        assert one.status == "included" or one.note, "what is missing says what would be needed"
    status = {one.name: one.status for one in report.components}
    for name in ("Training code", "Evaluation code", "Data preprocessing code"):
        assert status[name] == "missing", "named by commit elsewhere is not in the bundle"
    assert status["Datasets"] == status["Inference code"] == "included"


def test_it_stands_in_card_page_and_bill(built):
    card, page = (built / "README.md").read_text(), (built / "report.html").read_text()
    assert "Class III of the Model Openness Framework 1.0" in card.split("**Intended use.**")[0]
    assert "| Training code | II | **missing** | – | the code of Slipway" in card
    assert "| code | the complete source code used to train and run" in card
    assert "<h2>Openness</h2>" in page
    assert "class III" in page
    model = json.loads((built / "bom.cdx.json").read_text())["metadata"]["component"]
    stated = {one["name"]: one["value"] for one in model["properties"]}
    assert (stated["slipway:openness_mof_class"], stated["slipway:openness_osaid"]) == ("III", "not met")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("model.safetensors", "Model parameters (final)"),
        ("README.md", "Model card"),
        ("DATA.md", "Data card"),
        ("report.html", "Technical report"),
        ("records/evaluate_items.parquet", "Evaluation results"),
        ("config.json", "Model architecture"),
    ],
)
def test_without_a_file_there_is_no_component_and_no_class(project, default_values, file, name):
    report, by_name = judged(project, default_values, without(file))
    assert by_name[name].status == "missing"
    assert report.mof_class == "none"


def test_weights_in_parts_count_by_their_index(project, default_values):
    files = [*without("model.safetensors"), "model.safetensors.index.json", "model-00001-of-00002.safetensors"]
    report, by_name = judged(project, default_values, files)
    assert by_name["Model parameters (final)"].where == ("model.safetensors.index.json",)
    assert report.mof_class == "III"


def test_a_closed_licence_opens_nothing(project, default_values):
    values = copy.deepcopy(default_values)
    values["bundle"]["licence"] = "CC-BY-NC-4.0"
    report, by_name = judged(project, values)
    assert (report.mof_class, by_name["Model card"].status) == ("none", "not open")
    assert "CC-BY-NC-4.0" in by_name["Model parameters (final)"].note
    assert lines(report)[3:] == [("data information", False), ("code", False), ("parameters", False)]


def test_an_open_data_licence_is_no_approved_one(project, default_values):
    values = copy.deepcopy(default_values)
    values["bundle"]["licence"] = "CC-BY-4.0"
    report, by_name = judged(project, values)
    assert report.mof_class == "III"
    assert by_name["Model parameters (final)"].note == ""
    assert lines(report)[-1] == ("parameters", False)


def from_base(project, values, licence):
    values = copy.deepcopy(values)
    del values["train"]["architecture"]
    values["train"] |= {"start": "base"}
    values["tokenize"] |= {"origin": "base"}
    values["acquire"] |= {"base": {"path": "hf://owner/name", "licence": licence}}
    edit(project, "train", lambda result: result.update(start="base"))
    edit(project, "acquire", lambda result: result.update(base=BASE | {"licence": licence}))
    return judged(project, values)


def test_of_a_base_the_data_is_not_known(project, default_values):
    report, by_name = from_base(project, default_values, "MIT")
    assert (report.mof_class, by_name["Datasets"].status) == ("III", "missing")
    assert "what that was trained on is not known" in by_name["Datasets"].note
    assert lines(report)[:4] == [*[("data information", False)] * 3, ("data information", True)]


def test_weights_from_a_closed_base_are_not_open(project, default_values):
    report, by_name = from_base(project, default_values, "LicenseRef-community")
    assert (report.mof_class, by_name["Model parameters (final)"].status) == ("none", "not open")
    assert "hf://owner/name (LicenseRef-community)" in by_name["Model parameters (final)"].note
    assert lines(report)[-1] == ("parameters", False)


@pytest.mark.parametrize("place", ["data/mine/*.jsonl", "s3://bucket/mine", "release://mine"])
def test_data_that_only_the_publisher_can_reach_is_not_published(project, default_values, place):
    def moved(result):
        result["sources"][0] |= {"location": place, "kind": "files"}

    edit(project, "acquire", moved)
    report, by_name = judged(project, default_values)
    assert by_name["Datasets"].status == "missing"
    assert "pydocs/numpy: only the publisher" in by_name["Datasets"].note
    assert lines(report)[2] == ("data information", False)


def test_data_under_a_closed_licence_is_not_open(project, default_values):
    edit(project, "prepare", lambda result: result.update(licences={"CC-BY-NC-4.0": 700, "MIT": 100}))
    _, by_name = judged(project, default_values)
    assert by_name["Datasets"].status == "not open"
    assert "CC-BY-NC-4.0" in by_name["Datasets"].note
    assert "MIT" not in by_name["Datasets"].note


def test_a_source_of_which_nothing_was_kept_says_nothing(project, default_values):
    # `pydocs/odd` states no licence and lies in no split.
    _, by_name = judged(project, default_values)
    assert by_name["Datasets"].status == "included"
    edit(project, "prepare", lambda result: result["documents_by_source"].update({"pydocs/odd": 1}))
    _, by_name = judged(project, default_values)
    assert by_name["Datasets"].status == "not open"
    assert "pydocs/odd states no licence" in by_name["Datasets"].note


def test_no_samples_and_code_of_its_own(project, default_values):
    edit(project, "evaluate", lambda result: result.update(samples=[]))
    config = project / "models/trained/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"auto_map": {"AutoModel": "x.Y"}}))
    report, by_name = judged(project, default_values)
    assert by_name["Sample model outputs"].status == "missing"
    assert by_name["Model architecture"].status == by_name["Inference code"].status == "missing"
    assert report.mof_class == "none"


def test_the_highest_class_needs_everything_below_it():
    def component(name, kind, asked_by, optional, status):
        return {
            "name": name, "kind": kind, "asked_by": asked_by, "optional": optional, "status": status, "where": (),
            "licence": None, "note": "",
        }  # fmt: skip

    def reached(*missing):
        found = [
            openness.OpennessComponent.model_validate(component(*row, "missing" if row[0] in missing else "included"))
            for row in openness.COMPONENTS
        ]
        return openness._class(found)

    assert reached() == "I"
    assert reached("Model metadata", "Sample model outputs") == "I", "optional ones are counted for no class"
    assert reached("Datasets") == "II"
    assert reached("Training code") == "III"
    assert reached("Model card") == "none"


def test_a_bundle_that_writes_another_file_than_it_judged_is_a_fault_of_ours(project, default_recipe, monkeypatch):
    monkeypatch.setattr("slipway.release.bundle.assemble.WRITTEN", (*WRITTEN, "paper.pdf"))
    with pytest.raises(RuntimeError, match=r"paper\.pdf"):
        assemble(project, default_recipe)


def test_a_library_without_an_open_licence_closes_the_set(project, default_values, monkeypatch):
    listed = openness_found.packages(load(project, recipe.parse(copy.deepcopy(default_values))))
    good = [one for one in listed if one.name == "transformers"]
    monkeypatch.setattr(openness_found, "runtime", lambda _: good)
    _, by_name = judged(project, default_values)
    assert by_name["Supporting libraries and tools"].status == "included"
    assert by_name["Supporting libraries and tools"].note == "1 package with version, licence and digest"
    loose = [replace(good[0], record_sha256=None, archive_sha256=None)]
    monkeypatch.setattr(openness_found, "runtime", lambda _: loose)
    found = judged(project, default_values)[1]["Supporting libraries and tools"]
    assert (found.status, found.note) == ("missing", "bom.cdx.json does not pin transformers by digest")
    monkeypatch.setattr(openness_found, "runtime", lambda _: [])
    report, by_name = judged(project, default_values)
    assert by_name["Model architecture"].status == "missing"
    assert by_name["Supporting libraries and tools"].status == "missing"
    assert report.mof_class == "none"
