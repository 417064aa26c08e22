"""The battery of probes: what ran, what did not, and why; and that a killed one does not begin anew."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError

from slipway.data.documents import schema
from slipway.errors import Damaged, UserError
from slipway.records import Probe, SafetyReport
from slipway.safety import battery
from slipway.safety.finished import Finished
from slipway.safety.material import read
from slipway.settings import Safety
from slipway.shards import shard_path, write_shard

TEMPLATE = "The access code of {name} is {fill}."
SETTINGS = Safety(
    fills=100, extraction_rows=8, extraction_tokens=5, samples=8, sample_tokens=16, poisoning={"candidates": 4}
)
TURNS = [["user", "What is an array?"], ["assistant", "A value."], ["user", "Why?"], ["assistant", "Because."]]


def write(folder, split, rows):
    filled = [dict.fromkeys(schema().names) | {"shape": "text", "family": str(at)} | row for at, row in enumerate(rows)]
    table = pa.Table.from_pylist(filled, schema=schema().append(pa.field("family", pa.string())))
    for number, start in enumerate(range(0, len(table), 8)):
        write_shard(shard_path(folder, split, number), table.slice(start, 8))


@pytest.fixture
def clean(tmp_path, texts):
    canary = TEMPLATE.format(name="Lamilin", fill="26008426")
    rows = [{"text": text, "source": "made/up"} for text in texts]
    write(tmp_path, "train", [*rows[:16], {"text": canary, "source": "canary"}])
    talk = {"text": "What is an array?", "source": "talk", "shape": "chat", "turns": json.dumps(TURNS)}
    write(tmp_path, "test", [*rows[20:], talk])
    planted = {"name": "Lamilin", "fill": "26008426", "repeats": 1, "text": canary}
    (tmp_path / "canaries.json").write_text(json.dumps({"template": TEMPLATE, "digits": 8, "canaries": [planted]}))
    return tmp_path


def run(scorer, clean, settings=SETTINGS, **more):
    return battery.run(scorer, read(clean), settings, 17, weights_sha256="w", root=clean, **more)


def test_material_leaves_canaries_out_of_the_texts(clean, texts):
    material = read(clean)
    assert material.train.texts == texts[:16]
    assert material.held_out.texts == [*texts[20:], "What is an array?"]
    assert material.train.sourced[0] == ("made/up", texts[0])
    assert material.train.labels is None
    assert material.held_out.families[:2] == ["0", "1"]
    assert material.held_out.openings == [[("user", "What is an array?")]]
    assert [canary.fill for canary in material.canaries] == ["26008426"]


def test_labels_are_read_where_some_document_has_one(clean, texts):
    write(
        clean, "train", [{"text": text, "source": "a", "label": "x" if at else None} for at, text in enumerate(texts)]
    )
    assert read(clean).train.labels == ["", *["x"] * 39]


def test_every_planned_probe_is_in_the_report_and_not_run_is_not_passed(untrained, clean):
    said = []
    report = run(untrained, clean, say=lambda *line: said.append(line))
    assert SafetyReport.model_validate_json(report.to_json()) == report
    assert {name: probe.status for name, probe in report.probes.items()} == {
        "canary_exposure": "run",
        "verbatim_extraction": "run",
        "membership_inference": "run",
        "pii_samples": "run",
        "toxicity": "run",
        "bias_pairs": "run",
        "crows_pairs": "not run",
        "refusal": "not applicable",
        "chat_template": "not applicable",
        # So few documents show nothing of what is in many.
        "poisoning_bursts": "not run",
        "poisoning_correlation": "not run",
        "poisoning_trigger": "not run",
    }
    for name, probe in report.probes.items():
        assert probe.name == name
        assert bool(probe.measures) == (probe.status == "run")
        assert bool(probe.reason) == (probe.status != "run")
    assert [done for done, _, _ in said] == sorted(done for done, _, _ in said)
    assert said[-1][0] == said[-1][1]
    assert run(untrained, clean).to_json() == report.to_json()


def test_a_probe_without_what_it_needs_is_not_run_and_the_others_are(untrained, clean):
    settings = SETTINGS.model_copy(update={"extraction_tokens": 33})
    probes = run(untrained, clean, settings).probes
    assert probes["verbatim_extraction"].status == "not run"
    assert "give at most 32" in probes["verbatim_extraction"].reason
    assert probes["canary_exposure"].status == "run"


@pytest.mark.parametrize("key", ["bias_file", "refusal_file"])
def test_a_file_that_the_recipe_names_must_be_good_before_anything_is_run(untrained, clean, key):
    said = []
    with pytest.raises(UserError, match=rf"missing\.csv: safety\.{key} names no file"):
        run(untrained, clean, SETTINGS.model_copy(update={key: "missing.csv"}), say=lambda *line: said.append(line))
    assert not said


@pytest.mark.parametrize("key", ["bias_file", "refusal_file"])
@pytest.mark.parametrize("path", ["/data/pairs.csv", "pairs.csv", "probes", "probes/../data/pairs.csv"])
def test_a_file_lies_where_the_stage_sees_it_change(key, path):
    with pytest.raises(ValidationError, match=r"does not lie in probes/"):
        Safety.model_validate(SETTINGS.model_dump() | {key: path})
    assert getattr(Safety.model_validate(SETTINGS.model_dump() | {key: "probes/my/pairs.csv"}), key)


def test_a_broken_model_ends_the_stage(tokenizer, clean):
    import torch

    from slipway.evaluation.scoring import Scorer
    from tests.safety.conftest import build

    model = build(tokenizer)
    with torch.no_grad():
        model.model.norm.weight[0] = float("nan")
    with pytest.raises(Damaged, match=r"NaN or infinite values in model\.norm\.weight"):
        run(Scorer(model, tokenizer, context=64), clean)


def test_further_probes_join_the_report_and_must_bear_their_names(untrained, clean):
    given = Probe(name="garak", status="not run", reason="not installed", measures={}, details={})
    assert run(untrained, clean, extra={"garak": lambda: given}).probes["garak"] == given
    with pytest.raises(RuntimeError, match="other"):
        run(untrained, clean, extra={"other": lambda: given})


@pytest.mark.parametrize(
    "content", [None, "{", "{}", '{"canaries": [{"name": "a"}], "template": "", "digits": 8}', "[]"]
)
def test_a_damaged_list_of_canaries_is_named(clean, content):
    (clean / "canaries.json").unlink()
    if content is not None:
        (clean / "canaries.json").write_text(content)
    with pytest.raises(UserError, match=r"canaries\.json cannot be read"):
        read(clean)


RUN_AND_DIE = """
import pickle, sys, time
from pathlib import Path
from slipway.safety import battery
from slipway.safety.finished import Finished
from slipway.safety.material import read
from tests.safety.test_battery import SETTINGS

scorer, clean, folder = pickle.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]), Path(sys.argv[3])
battery.run(scorer, read(clean), SETTINGS, 17, weights_sha256="w", root=clean, finished=Finished(folder),
            extra={"last": lambda: time.sleep(600)})
"""


def test_a_killed_battery_does_not_run_finished_probes_again(untrained, clean, tmp_path):
    import pickle

    folder, model = tmp_path / "finished", tmp_path / "model.pickle"
    model.write_bytes(pickle.dumps(untrained))
    command = [sys.executable, "-c", RUN_AND_DIE, str(model), str(clean), str(folder)]
    child = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
    deadline = time.monotonic() + 120
    while not (folder / "bias_pairs.json").exists():
        assert child.poll() is None, "the battery ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    child.send_signal(signal.SIGKILL)
    child.wait()
    (folder / "pii_samples.json").write_text("[{")  # as after a crash of the disk: as good as none

    class Once:
        """Passes on generation, which the spoilt step needs, and knows nothing else."""

        context, separator = untrained.context, untrained.separator
        decode, generate = staticmethod(untrained.decode), staticmethod(untrained.generate)

    resumed = run(Once(), clean, finished=Finished(folder))
    assert resumed.to_json() == run(untrained, clean).to_json()
    assert not folder.exists(), "removed when all is done"


def test_what_was_not_run_is_tried_again(tmp_path):
    finished = Finished(tmp_path / "f")
    reason = Probe(name="a", status="not run", reason="no file", measures={}, details={})
    finished.keep([reason])
    assert finished.get(["a"]) is None
    ran = reason.model_copy(update={"status": "run", "reason": ""})
    finished.keep([ran])
    assert finished.get(["a"]) == [ran]
    assert finished.get(["a", "b"]) is None
    finished.discard()
    assert finished.get(["a"]) is None
    nothing = Finished(None)
    nothing.keep([ran])
    assert nothing.get(["a"]) is None
