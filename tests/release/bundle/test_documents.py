"""The documents are projections of the records: every number found there, nothing claimed beyond them."""

import json
import re
from html.parser import HTMLParser

import pytest

from slipway import recipe
from slipway.errors import Refusal
from slipway.files import sha256_file
from slipway.release.bundle import bom, data_card, provenance
from slipway.release.bundle.assemble import assemble
from slipway.release.bundle.claims import lookup
from slipway.release.bundle.material import load
from slipway.scan.verdict import scan
from tests.data_records import edit


def test_the_scanner_finds_nothing_in_a_bundle_of_ours(built):
    report = scan(built, 1 << 30, sha256_file(built / "manifest.json"))
    assert report.passed, report.findings


@pytest.mark.parametrize("document", ["README.md", "report.html"])
def test_no_verdict_before_the_gate(built, document):
    text = (built / document).read_text()
    assert not re.search(r"\b(GO|NO-GO|PASSED)\b", text)
    assert "not known yet" in text


def test_a_changed_record_changes_the_documents(project, default_recipe):
    edit(project, "evaluate", lambda result: result["bits_per_byte"]["model"].update(value=1.2345, low=None, high=None))
    assemble(project, default_recipe)
    for document in ("README.md", "report.html", "bom.cdx.json"):
        assert "1.234" in (project / "bundle" / document).read_text(), document


def test_a_failed_claim_is_shown_as_such(project, default_recipe):
    edit(project, "evaluate", lambda result: result["bits_per_byte"]["model"].update(high=9.5))
    assemble(project, default_recipe)
    assert "outside its bound" in (project / "bundle/report.html").read_text()


def test_text_from_records_cannot_become_markup(project, default_recipe):
    evil = "<script>alert(1)</script> | [x](javascript:alert(1)) \x1b[2J \u202e"

    def change(result):
        result["samples"] = [[evil, evil]]
        result["choices"]["continuation"]["definition"] = "<img src=x onerror=y> | \u202e"

    edit(project, "evaluate", change)
    assemble(project, default_recipe)
    report = scan(project / "bundle", 1 << 30)
    assert report.passed, report.findings
    assert "\\u202e" in (project / "bundle/report.html").read_text()


def test_data_card_has_filters_licences_and_gaps(project, default_recipe):
    text = data_card.render(load(project, default_recipe))
    for words in (
        "| exact duplicates | the first of equal texts | 900 | 60 | 840 |",
        "| decontamination | it holds no item that the model is measured on | 805 | 5 | 800 |",
        "| exact duplicate | 60 |",
        "1,000 documents came in = 200 rejected + 700 in train + 40 in validation + 60 in test.",
        "**none stated**",
        "| pydocs/odd | 100 |",
        "90.9 % of the raw characters",
        "| test | 60 | 6,000 | – |",
        "| BSD-3-Clause | Permissive | attribution, notice | pydocs/numpy | 800 |",
        "| text drifts little | – | **not run** | the recipe names no baseline | 0.2 | – |",
        "| en | 60,000 | 95.2 % |",
        "| quiz | 38 | 2 | 1 % |",
        "| quiz/7 | pydocs/numpy/a.py#f | 90 % | words |",
        "| email | it is replaced | 3 |",
        "| secret | the document is rejected | – |",
        "- Not run, so nothing is known: text drifts little (the recipe names no baseline).",
    ):
        assert words in text


def test_bill_of_materials(built):
    text = (built / "bom.cdx.json").read_text()
    bom.validate(text)
    values = json.loads(text)
    assert "serialNumber" not in values
    assert "timestamp" not in values["metadata"]
    model = values["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    assert model["hashes"][0]["content"] == sha256_file(built / "model.safetensors")
    assert model["modelCard"]["properties"] == [{"name": "slipway:safety_not_run", "value": "toxicity: not run"}]
    metrics = {(m["type"], m["slice"]): m for m in model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]}
    assert metrics["bits per byte", "model, n = 60"]["value"] == "1.9871"
    assert metrics["bits per byte", "model, n = 60"]["confidenceInterval"] == {
        "lowerBound": "1.95",
        "upperBound": "2.02",
    }
    names = {component["name"]: component for component in values["components"]}
    assert {"torch", "transformers", "tokenizers", "pydocs/numpy"} <= set(names)
    assert "pytest" not in names
    assert names["pydocs/numpy"]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert "licenses" not in names["pydocs/odd"]


def test_a_bill_that_breaks_the_schema_is_refused(built):
    values = json.loads((built / "bom.cdx.json").read_text())
    values["components"][0]["type"] = "spell"
    with pytest.raises(Refusal, match="CycloneDX"):
        bom.validate(json.dumps(values))


def test_provenance_leads_from_the_weights_to_the_sources(built):
    statement = provenance.read(built / "provenance.json")
    subjects = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    assert subjects["model.safetensors"] == sha256_file(built / "model.safetensors")
    stages = {stage["annotations"]["stage"]: stage for stage in statement["predicate"]["runDetails"]["byproducts"]}
    assert (
        stages["train"]["annotations"]["outputs"]["models/trained/model.safetensors"] == subjects["model.safetensors"]
    )
    assert stages["train"]["annotations"]["checkpoints"] == [[10, "ef" * 32], [20, "01" * 32]]
    assert "checkpoints" not in stages["prepare"]["annotations"]
    for name in stages:
        assert stages[name]["digest"]["sha256"] == sha256_file(built / f"records/{name}.json")
    resolved = {
        d["name"]: d["digest"]["sha256"] for d in statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    }
    assert resolved["recipe.json"] == sha256_file(built / "recipe.json")
    assert resolved["inputs.lock"] == sha256_file(built / "inputs.lock")
    assert resolved["pydocs/numpy"] == "ab" * 32


@pytest.mark.parametrize("fault", ["subject", "predicate", "type"])
def test_provenance_that_is_not_valid_is_refused(built, fault):
    statement = json.loads((built / "provenance.json").read_text())
    if fault == "subject":
        statement["subject"] = []
    elif fault == "predicate":
        statement["predicate"]["invented"] = 1
    else:
        statement["predicateType"] = "https://example.org/other"
    with pytest.raises(Refusal, match="provenance"):
        provenance.validate(statement)


def test_the_recipe_in_the_bundle_is_the_recipe(built, default_recipe):
    assert recipe.parse(json.loads((built / "recipe.json").read_text())) == default_recipe


def test_report_is_one_file_that_needs_nothing(built):
    text = (built / "report.html").read_text()
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    assert "<script" not in text
    assert text.count("<svg") >= 6

    opened = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, _):
            if tag not in {"meta", "br"}:
                opened.append(tag)

        def handle_startendtag(self, tag, _):
            assert tag in {"circle", "line", "path", "polyline", "rect"}

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    Tags().feed(text)
    assert opened == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b", 2.0),
        ("a.list.1", 5.0),
        ("yes", 1.0),
        ("a", None),
        ("a.c", None),
        ("a.list.9", None),
        ("none", None),
        ("word", None),
    ],
)
def test_lookup(path, expected):
    values = {"a": {"b": 2, "list": [4, 5]}, "yes": True, "none": None, "word": "x"}
    assert lookup(values, path) == expected
