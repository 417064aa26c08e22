"""The documents are projections of the records: every number found there, nothing claimed beyond them."""

import copy
import html
import json
import re
from html.parser import HTMLParser

import pytest

from slipway import recipe
from slipway.errors import Refusal
from slipway.files import sha256_file
from slipway.release.bundle import bom, data_card, provenance
from slipway.release.bundle.assemble import assemble
from slipway.release.bundle.material import load
from slipway.release.bundle.results import words as named
from slipway.scan.verdict import scan
from tests.data_records import edit

NOT_RUN = '<span class="verdict unknown"><span aria-hidden="true">○</span> not run</span>'


def test_the_scanner_finds_nothing_in_a_bundle_of_ours(built):
    report = scan(built, 1 << 30, sha256_file(built / "manifest.json"))
    assert report.passed, report.findings


def test_documents_say_who_gives_the_verdict(built):
    assert "`GATE.html` beside a release has the verdict" in (built / "README.md").read_text()
    page = (built / "report.html").read_text()
    verdict, claims = page.index("<h2>Verdict on its own reports"), page.index("<h2>What this release claims")
    assert verdict < page.index("GO</strong>") < claims
    assert "3 lines of the gate that these reports decide: 3 GO." in page
    assert "<code>GATE.html</code> beside this page has that verdict" in page
    # The scan, and the release before, come later than this page: neither is a line of it.
    assert "champion" not in page
    assert "scan.passed" not in page


def test_a_changed_record_changes_the_documents(project, default_recipe):
    changed = {"value": 1.2345, "low": None, "high": None}
    edit(project, "evaluate", lambda result: result["tasks"]["bits_per_byte"]["measure"].update(changed))
    assemble(project, default_recipe)
    for document in ("README.md", "report.html", "bom.cdx.json"):
        assert "1.234" in (project / "bundle" / document).read_text(), document
    # No interval: the bound on its upper end is not met and not missed.
    assert "INCONCLUSIVE</strong>" in (project / "bundle/report.html").read_text()


@pytest.mark.parametrize(
    ("stage", "change", "verdict"),
    [
        ("evaluate", lambda result: result["tasks"]["bits_per_byte"]["measure"].update(high=9.5), "NO-GO"),
        (
            "safety",
            lambda result: result["probes"]["canary_exposure"]["measures"]["exposure_1"].update(value=9.5),
            "INCONCLUSIVE",
        ),
        ("safety", lambda result: result["probes"].pop("canary_exposure"), "INCONCLUSIVE"),
    ],
)
def test_a_failed_claim_is_shown_as_such(project, default_recipe, stage, change, verdict):
    edit(project, stage, change)
    assemble(project, default_recipe)
    page = (project / "bundle/report.html").read_text()
    assert f"{verdict}</strong>" in page
    assert re.search(r'class="verdict bad"><span aria-hidden="true">✗</span> NO-GO', page)
    assert "What to do:" in page
    assert "on its own reports: " in (project / "bundle/README.md").read_text()


def test_everything_in_the_records_is_on_the_page(built):
    page = (built / "report.html").read_text()
    shown = html.unescape(page)
    evaluated = json.loads((built / "records/evaluate.json").read_text())["result"]
    for name, task in evaluated["tasks"].items():
        assert f"<h3>{named(name).capitalize()}</h3>" in page, name
        assert task["definition"] in shown
        assert all(f"{named(key)}</td>" in page for key in task.get("metrics", {}))
        assert all(f">{key}</text>" in page for key in task.get("groups", {}))
        for item in task.get("worst", []):
            assert all(item[part] in shown for part in ("item", "prompt", "expected", "given"))
    assert all(
        f'{named(name)}</td><td data-name="status">{NOT_RUN}' in page and reason in shown
        for name, reason in evaluated["not_run"].items()
    )
    assert page.count("share of right answers by confidence") == 1
    assert "0.08120" in page
    for name, probe in json.loads((built / "records/safety.json").read_text())["result"]["probes"].items():
        status = {"run": "measured"}.get(probe["status"], probe["status"])
        assert re.search(rf">{named(name)} <span class=\"verdict \w+\"><span [^>]*>.</span> {status}<", page), name
        assert probe["reason"] in shown
        assert all(f"<td>{named(key)}</td>" in page for key in probe["measures"])
        assert all(text in shown for text in probe["details"].values())
    for line in ("contract", "better than gzip", "not memorised"):
        assert f">{line}<span" in page
    assert "temperature 1, seed 4711</p>" in page


def test_a_base_that_was_not_asked_is_not_run(project, default_recipe):
    assemble(project, default_recipe)
    page = (project / "bundle/report.html").read_text()
    assert "not applicable</span> Training started from new weights" in page
    edit(project, "evaluate", lambda result: result.update(base={"digest": "12" * 32}))
    assemble(project, default_recipe)
    page = (project / "bundle/report.html").read_text()
    assert re.search(r"Beside the base</h3>\s*<p><span class=\"verdict unknown\">.*?not run</span>", page)
    assert "Beside the base that training started from: **not run**." in (project / "bundle/README.md").read_text()


def test_text_from_records_cannot_become_markup(project, default_values):
    evil = "<script>alert(1)</script> | [x](javascript:alert(1)) \x1b[2J \u202e"
    image = "<img src=x onerror=y> | \u202e"
    # The scan refuses a script's address in a card even as text, so that one is tried on the page alone.
    words = "<script>alert(1)</script> | [x](//example.org) \x1b[2J \u202e"

    def change(result):
        result["samples"] = [{"prompt": evil, "text": evil, "decoding": image, "seed": 1}]
        task = result["tasks"].pop("hellaswag")
        task |= {"definition": image, "unit": image, "references": {image: task["measure"]}}
        task |= {"groups": {image: task["measure"]}, "metrics": {image: task["measure"]}}
        task["worst"] = [{"item": image, "value": 1.0, "prompt": evil, "expected": evil, "given": image}]
        result["tasks"][image] = task
        result["not_run"] = {image: words}

    def probes(result):
        found = result["probes"]
        found["toxicity"]["reason"] = words
        found["canary_exposure"]["details"] = {image: evil}
        found["canary_exposure"]["measures"][image] = found["canary_exposure"]["measures"]["exposure_1"]

    values = copy.deepcopy(default_values)
    gate = values["release"]["gate"]
    gate["checks"][0]["reason"] = words
    gate["waivers"] = [{"line": image, "by": image, "reason": words, "expires": "2027-01-31"}]
    edit(project, "evaluate", change)
    edit(project, "safety", probes)
    assemble(project, recipe.parse(values))
    report = scan(project / "bundle", 1 << 30)
    assert report.passed, report.findings
    page = (project / "bundle/report.html").read_text()
    assert "\\u202e" in page
    assert not re.search(r"<(script|img)", page)
    card = (project / "bundle/README.md").read_text()
    assert not re.search(r"<(script|img)|(?<!\\)\[x\]", card)


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
    assert {one["name"]: one["value"] for one in model["modelCard"]["properties"]} == {
        "slipway:evaluation_not_run": "question",
        "slipway:safety_not_run": "chat_template: not applicable; toxicity: not run",
        "slipway:waivers": "none",
    }
    metrics = {(m["type"], m["slice"]): m for m in model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]}
    assert metrics["bits per byte", "bits_per_byte, n = 60"]["value"] == "1.9871"
    assert metrics["bits per byte", "bits_per_byte: gzip, n = 60"]["value"] == "2.0912"
    assert metrics["bits per byte", "bits_per_byte, n = 60"]["confidenceInterval"] == {
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
    assert "default-src 'none'" in text
    assert "://" not in text  # no address at all, so nothing to fetch
    assert not re.search(r"<(script|link|img|iframe|object|embed|base)\b|\b(src|srcset|style)=|url\(|@import", text)
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', text))
    assert text.count("<svg") >= 7

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


def test_provenance_names_base_teacher_and_task_files_with_digest_and_licence(project, default_recipe, built):
    def resolved(folder):
        content = provenance.read(folder / "provenance.json")
        rows = content["predicate"]["buildDefinition"]["resolvedDependencies"]
        return {row["name"]: (row["digest"]["sha256"], row.get("annotations")) for row in rows}

    found = resolved(built)
    assert found["pydocs/numpy"] == ("ab" * 32, {"kind": "pydocs", "licence": "BSD-3-Clause", "version": "1.0"})
    assert found["tasks/quiz.jsonl"] == ("78" * 32, {"kind": "evaluation", "licence": "CC0-1.0"})
    weights = {"version": None, "licence": "MIT", "digest": "12" * 32, "files": 3, "bytes": 9}
    both = {"base": weights | {"location": "models/base"}, "teacher": weights | {"location": "models/teacher"}}
    edit(project, "acquire", lambda result: result.update(both))
    assemble(project, default_recipe)
    found = resolved(project / "bundle")
    for role in both:
        assert found[f"models/{role}"] == ("12" * 32, {"role": role, "licence": "MIT", "version": "none"})
