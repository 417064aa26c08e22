"""The model card: read by the hub, complete for a person, every value out of a record."""

import copy
import json
import os
import re
import subprocess
import sys

import pytest
from ruamel.yaml import YAML

from slipway import chat, recipe
from slipway.files import sha256_file
from slipway.release.bundle import card
from slipway.release.bundle.assemble import assemble
from tests.data_records import edit
from tests.evaluation_records import IDENTITY
from tests.release.bundle.conftest import measure, task


def results(folder):
    """The card's results as the hub reads them, by name of the task."""
    from huggingface_hub import ModelCard

    page = ModelCard((folder / "README.md").read_text())
    return page, {re.split(r",| \(", result.metric_name)[0]: result for result in page.data.eval_results}


def test_card_metadata_is_what_the_hub_reads(built):
    page, found = results(built)
    assert page.data.license == "apache-2.0"
    assert {name: one.metric_value for name, one in found.items()} == {
        "bits per byte": 1.9871, "continuation": 0.34, "signature": 0.34, "hellaswag": 0.27,
    }  # fmt: skip
    # The hub groups results by data set and configuration, and gives each group one task.
    assert [one.task_name for one in found.values()] == ["Bits per byte", "Continuation", "Signature", "Hellaswag"]
    assert found["continuation"].metric_type == "accuracy"
    told = found["bits per byte"].metric_args
    assert (told["interval_95"], told["n"]) == ([1.95, 2.02], 60)
    assert told["references"] == {"gzip": 2.0912, "xz": 1.8134, "zstd_dictionary": 1.8551, "byte_5gram": 2.2213}
    assert "More Information Needed" not in page.text


def test_card_metadata_names_the_task_file_the_data_sets_and_the_base(project, default_recipe):
    def measured(result):
        tasks = result["tasks"]
        tasks["answers"] = task(measure(1.125, 1.0, 1.25, 31), "bits per byte", "lower", references={})
        tasks["quiz"] = tasks["continuation"]

    def fetched(result):
        result["sources"][0]["location"] = "hf://datasets/owner/talks@c0ffee/data/*.parquet"
        result["base"] = {
            "location": "hf://owner/name", "version": "c0ffee", "licence": "MIT", "digest": "12" * 32, "files": 3,
            "bytes": 9,
        }  # fmt: skip

    edit(project, "evaluate", measured)
    edit(project, "acquire", fetched)
    edit(project, "train", lambda result: result.update(start="base"))
    assemble(project, default_recipe)
    page, found = results(project / "bundle")
    assert page.data.datasets == ["owner/talks"]
    assert page.data.base_model == "owner/name"
    assert (found["quiz"].dataset_type, found["quiz"].dataset_revision) == ("quiz", "78" * 32)
    assert found["continuation"].dataset_revision == "23" * 32
    assert (found["hellaswag"].dataset_type, found["hellaswag"].dataset_revision) == ("hellaswag", IDENTITY["data"])
    assert found["answers"].metric_value == 1.125
    assert "| Trained from | hf://owner/name at c0ffee (MIT)" in page.text


def test_card_shows_the_base_in_the_form_that_suits_it_better(project, default_recipe):
    def measured(result):
        bits = result["tasks"]["bits_per_byte"]
        bits |= {"base": measure(1.951, 1.9, 2.0), "base_difference": measure(-0.2125, -0.2518, 0.1078, 75)}
        result["tasks"]["answers"] = task(
            measure(1.18, 1.1, 1.2), "bits per byte", "lower", references={}, base=measure(1.4718, 1.4, 1.5),
            base_difference=measure(-0.2921, -0.3305, -0.2451, 75),
        )  # fmt: skip
        result["base"] = {"digest": "12" * 32, "answers_form": "plain"}

    edit(project, "train", lambda result: result.update(start="base"))
    edit(project, "evaluate", measured)
    assemble(project, default_recipe)
    for name in ("README.md", "report.html"):
        text = (project / "bundle" / name).read_text().replace("\u00a0", " ")
        assert "asked in plain text, which suits it" in text, name
        assert "-0.3305 to -0.2451" in text, name
        assert "-0.2518 to 0.1078" in text, name
    limits = (project / "bundle/README.md").read_text().split("## Known limits")[1].split("## ")[0]
    assert "bits per byte, bits per byte: not surely better than the base" in limits
    assert "answers" not in limits


@pytest.mark.parametrize(
    ("location", "kind", "name"),
    [
        ("hf://owner/name", "", "owner/name"),
        ("hf://owner/name@main", "", "owner/name"),
        ("hf://datasets/o/n@r/a.parquet", "datasets/", "o/n"),
        ("hf://datasets/o/n/a.parquet", "datasets/", "o/n"),
        ("s3://owner/name", "", None),
        ("models/mine", "", None),
    ],
)
def test_places_on_a_hub(location, kind, name):
    assert card.hub(location, kind) == name


def test_card_shows_every_task_and_reference_with_intervals(built):
    text = (built / "README.md").read_text()
    for words in (
        "| bits per byte | 1.987 | 1.950 to 2.020 | 60 | bits per byte | lower | byte 5-gram 2.221, gzip 2.091, ",
        "| continuation | 0.3400 | 0.2800 to 0.4000 | 247 | share right | higher | chance 0.2500 |",
        "| hellaswag | 0.2700 |",
        "| question | **not run** | – | – | – | – | – | no held-out conversation |",
        "| bits per byte, reference: zstd, dictionary trained on the training split | 1.855 |",
        "| bits per byte, of pydocs/numpy | 1.987 | 1.950 to 2.020 | 60 |",
        "| hellaswag, acc norm | 0.2900 |",
        "| continuation, expected calibration error | 0.08120 | 0.05000 to 0.1300 | 247 |",
        "- **hellaswag**: one of four \\| by &lt;mean&gt; log-likelihood; seeds 17, 18",
    ):
        assert words in text, words


def test_card_lists_the_limits_that_the_records_show(built):
    limits = (built / "README.md").read_text().split("## Known limits")[1].split("## ")[0]
    for words in (
        "bits per byte: not surely better than xz (1.987, 95 % interval 1.950 to 2.020, against 1.813 bits per byte)",
        "hellaswag: not surely better than chance",
        "question was not asked, so nothing is known of it: no held-out conversation",
        "toxicity was not run, so nothing is known of it: no labelled set ships with Slipway",
    ):
        assert words in limits, words
    assert "gzip" not in limits
    assert "continuation" not in limits
    assert "chat template" not in limits  # not applicable is no gap


def test_card_names_waivers_with_who_why_and_until_when(project, default_recipe, default_values):
    assemble(project, default_recipe)
    assert "None: every line of the gate must hold." in (project / "bundle/README.md").read_text()
    values = copy.deepcopy(default_values)
    line = "evaluate.tasks.bits_per_byte.measure.high"
    values["release"]["gate"]["waivers"] = [
        {"line": line, "by": "Ada <a@example.org>", "reason": "one source | moved", "expires": "2027-01-31"}
    ]
    edit(project, "evaluate", lambda result: result["tasks"]["bits_per_byte"]["measure"].update(high=9.5))
    assemble(project, recipe.parse(values))
    text = (project / "bundle/README.md").read_text()
    assert f"| {line} | Ada &lt;a@example.org&gt; | one source \\| moved | 2027-01-31 |" in text
    page = (project / "bundle/report.html").read_text()
    assert "Waiver of Ada &lt;a@example.org&gt;, until 2027-01-31: one source | moved" in page
    # Whether it still holds needs a clock, which no file of a bundle has.
    assert "NO-GO</strong>" in page


def test_what_was_not_run_is_in_plain_sight(built):
    assert "| toxicity | **not run** |" in (built / "README.md").read_text()
    assert "| chat template | **not applicable** |" in (built / "README.md").read_text()


def test_card_says_that_nobody_approved_before_anything_else(built):
    head, approval = (built / "README.md").read_text().split("## What it is")
    assert head.index("Nobody approved this release") < head.index("**Intended use.**")
    assert "Nobody approved this release" in approval


def subcard(text, title):
    """Field to answer of one of the card's subcards."""
    rows = text.split(f"### {title}\n")[1].split("\n#")[0].splitlines()
    return dict(row.strip("| ").split(" | ", 1) for row in rows if row.startswith("| ") and "field" not in row)


def test_subcards_answer_from_the_records_or_say_that_nothing_is_known(built):
    text = (built / "README.md").read_text()
    bias, how = subcard(text, "Bias"), subcard(text, "Explainability")
    privacy, safety = subcard(text, "Privacy"), subcard(text, "Safety and security")
    assert bias["Measured"] == "**not run**: the battery held no probe of this"
    assert bias["Languages of the raw data"] == "en 95.2 %, unknown 4.8 %"
    assert bias["Measures taken to mitigate against unwanted bias"].startswith("none on record")
    assert how["Model type"] == "llama, 1 layers, width 16"
    assert how["Performance metrics"].startswith("bits per byte; continuation in share right")
    assert "expected calibration error 0.08120" in how["Whether it is as often right as it is sure"]
    assert how["Verified to have met prescribed quality standards"] == "GO on its own reports, 3 lines"
    exposure = privacy["Generatable or reverse engineerable personal data: canary exposure"]
    assert exposure == "exposure 1: 1.500, 95 % interval 0.2000 to 2.900, n = 3"
    assert "replaced: email 3" in privacy["Personal data used to create this model"]
    assert safety["Measured: toxicity"] == "**not run**: no labelled set ships with Slipway"
    assert safety["Measured: chat template"] == "not applicable: the tokenizer has no chat template"
    assert "None" not in {**bias, **how, **privacy, **safety}.values()


def test_every_probe_stands_in_exactly_one_subcard(project, default_recipe):
    def probes(result):
        for name in ("bias_pairs", "crows_pairs", "pii_samples", "membership_inference", "poisoning_trigger", "garak"):
            found = {"name": name, "status": "not run", "reason": f"because of {name}", "measures": {}, "details": {}}
            result["probes"][name] = found

    edit(project, "safety", probes)
    assemble(project, default_recipe)
    text = (project / "bundle/README.md").read_text()
    told = {title: subcard(text, title) for title in ("Bias", "Privacy", "Safety and security")}
    for title, names in {
        "Bias": ("bias_pairs", "crows_pairs"),
        "Privacy": ("pii_samples", "membership_inference"),
        "Safety and security": ("poisoning_trigger", "garak"),
    }.items():
        for name in names:
            assert [where for where, rows in told.items() if f"**not run**: because of {name}" in rows.values()] == [
                title
            ]


def test_subcards_name_the_contact_and_how_illegal_content_was_kept_out(project, default_values):
    values = copy.deepcopy(default_values)
    values["bundle"] |= {"contact": "the issue tracker", "illegal_content": "a list of hashes"}
    assemble(project, recipe.parse(values))
    text = (project / "bundle/README.md").read_text()
    assert subcard(text, "Privacy")["Mechanism to honor data subject rights of access or deletion"] == (
        "the issue tracker"
    )
    assert "a list of hashes" in subcard(text, "Safety and security").values()


def test_card_names_the_approvers_that_are_asked(project, default_values):
    values = copy.deepcopy(default_values)
    values["release"]["approval"] = {"required": 1, "approvers": {"jane": "keys/jane.pem"}}
    assemble(project, recipe.parse(values))
    text = (project / "bundle/README.md").read_text()
    assert "asks for 1 of these approvers" in text
    assert "jane" in text
    assert "Nobody approved" not in text


def test_card_of_a_chat_model_shows_how_to_talk_to_it(project, default_recipe, built):
    assert "apply_chat_template" not in (built / "README.md").read_text()
    chat_template = project / "models/tokenizer" / chat.FILE
    chat_template.write_text(chat.TEMPLATE)
    path = project / "reports/tokenize.json"
    record = json.loads(path.read_text())
    record["outputs"]["models/tokenizer/chat_template.jinja"] = chat.SHA256
    path.write_text(json.dumps(record))
    edit(project, "tokenize", lambda result: result.update(chat_template_sha256=chat.SHA256))
    assemble(project, default_recipe)
    text = (project / "bundle/README.md").read_text()
    assert (
        f"| Chat template | sha256 `{chat.SHA256}`; of conversations only the assistant's turns were learnt |" in text
    )
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    run = subprocess.run(
        [sys.executable, "-c", code.replace("path/to/this/directory", str(project / "bundle"))],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


def test_card_says_how_it_was_trained_and_what_that_takes(built):
    text = (built / "README.md").read_text()
    for words in (
        "| Architecture | llama, 1 layers, width 16 |",
        "| Parameters | 12,345 (float32) |",
        "| Objective | pretrain: next-token prediction (document mask no) |",
        "| Started from | new weights |",
        "| Steps | 20 of ",
        "| Average of the weights | none |",
        "| Training loss | 3.250 nats per token |",
        "| Validation loss | 3.350 nats per token (1.990 bits per byte) |",
        "| Gap | 0.1000 nats per token, ",
        "| Tokens seen | 40,960, filling included; 40,900 counted in the loss |",
        "| FLOPs | 6.400e+03, 100 per token: 6 N per token |",
        "| Device | cpu AVX2; 1 process, 1 thread |",
        "| Computed in | float32; parameters and optimizer in float32 |",
        "| Compiled | no: it does not pay on a processor |",
        "`LEDGER.md`, beside this card and signed with it",
    ):
        assert words in text
    assert "Adapter" not in text
    page = (built / "report.html").read_text()
    assert "learning rate by step" in page
    assert re.search(r"gap\D*0\.1000", page)


def test_card_of_a_model_that_learnt_preferences_from_a_base(project, default_values):
    values = copy.deepcopy(default_values)
    del values["train"]["architecture"]
    values["train"] |= {"start": "base", "objective": {"kind": "dpo", "beta": 0.2}, "adapter": {"rank": 8}}
    values["train"] |= {"average": 0.99, "schedule": "cosine", "floor_share": 0.1}
    values["tokenize"] |= {"origin": "base"}
    values["acquire"] |= {"base": {"path": "hf://owner/name", "licence": "MIT"}}
    kind = {"objective": "dpo", "start": "base", "validation_bits_per_byte": None, "averaged": True}
    kind |= {"adapter": "LoRA rank 8, alpha 32, on all-linear", "merge_error": 1.2e-6, "trained_parameters": 345}
    kind |= {"world_size": 4, "threads": 2}
    edit(project, "train", lambda result: result.update(kind))
    assemble(project, recipe.parse(values))
    text = (project / "bundle/README.md").read_text()
    for words in (
        "| Parameters | 12,345 (float32); 345 were trained |",
        "| Objective | dpo: direct preference optimisation against the starting weights (beta 0.2, label smoothing",
        "| Started from | the weights of the base model |",
        "| Adapter | LoRA rank 8, alpha 32, on all-linear, merged into the weights; largest difference of a logit ",
        "before and after: 1.2e-06 |",
        " pairs |",
        "half a cosine down to 10 % of the peak |",
        "| Average of the weights | exponential moving average, decay 0.99 per step |",
        "| Validation loss | 3.350 nats per pair |",
        "| Device | cpu AVX2; 4 processes, 2 threads each |",
    ):
        assert words in text
    assert "loss, nats per pair" in (project / "bundle/report.html").read_text()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "gpt2", "n_layer": 12, "n_embd": 768}, "gpt2, 12 layers, width 768"),
        ({"model_type": "odd"}, "odd"),
    ],
)
def test_card_names_what_the_configuration_names(project, default_recipe, config, words):
    path = project / "models/trained/config.json"
    path.write_text(json.dumps(config | {"dtype": "bfloat16"}))
    record = json.loads((project / "reports/train.json").read_text())
    record["outputs"]["models/trained/config.json"] = sha256_file(path)
    (project / "reports/train.json").write_text(json.dumps(record))
    assemble(project, default_recipe)
    text = (project / "bundle/README.md").read_text()
    assert f"| Architecture | {words} |" in text
    assert "| Parameters | 12,345 (bfloat16) |" in text


def test_card_says_what_the_licences_ask_and_what_was_cleaned(built):
    text = (built / "README.md").read_text()
    for words in (
        "| Contract on the raw data | 1 met, 1 not run |",
        "| What they ask | attribution (BSD-3-Clause); notice (BSD-3-Clause) |",
        "| Training text cleaned of | quiz, test: 5 documents rejected |",
        "| Words of these left in it | quiz 1 %, test 4.5 % |",
    ):
        assert words in text


def test_card_tables_have_as_many_cells_as_headers(built):
    for name in ("README.md", "DATA.md"):
        width = None
        for line in (built / name).read_text().splitlines():
            cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
            assert cells == width or width is None or cells is None, (name, line)
            width = cells


def test_front_matter_is_plain_yaml(built):
    head = (built / "README.md").read_text().split("---\n")[1]
    assert YAML(typ="safe").load(head)["library_name"] == "transformers"
