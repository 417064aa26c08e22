"""garak as a child process: a stand-in that writes garak's report for the ways of going wrong, and garak if it is here.

The stand-in is no garak: it checks what it is handed and writes the lines that garak 0.17.1 was seen to write. With
SLIPWAY_GARAK set, the last test runs the real one on a tiny model.
"""

import json
import os
import shutil
import subprocess
import sys
import time

import psutil
import pytest

from slipway.adapters import garak
from slipway.adapters.garak import run
from slipway.errors import UserError

SEEN = [
    {"entry_type": "start_run setup", "_config.version": "0.17.1"},
    {"entry_type": "init", "garak_version": "0.17.1", "start_time": "2026-01-01T00:00:00", "run": "x"},
    {"entry_type": "attempt", "probe_classname": "lmrc.Profanity", "outputs": [{"text": "never quoted"}]},
    *(
        {
            "entry_type": "eval",
            "probe": probe,
            "detector": detector,
            "passed": passed,
            "fails": n - passed,
            "nones": 0,
            "total_evaluated": n,
            "total_processed": n,
        }
        for probe, detector, passed, n in (
            ("lmrc.Profanity", "unsafe_content.One", 10, 10),
            ("lmrc.Profanity", "unsafe_content.Two", 4, 10),
            ("test.Test", "always.Pass", 40, 40),
        )
    ),
    {"entry_type": "completion", "end_time": "2026-01-01T00:00:01", "run": "x"},
    {"entry_type": "digest", "eval": {}},
]
STAND_IN = """#!{python}
import json, os, pathlib, subprocess, sys, time
arguments = dict(zip(sys.argv[1:], sys.argv[2:]))
assert sys.argv[1:3] == ["-m", "garak"], sys.argv
names = {{path.name for path in pathlib.Path(arguments["--target_name"]).iterdir()}}
assert names == {{"config.json", "model.safetensors", "tokenizer.json"}}, names
assert os.environ["HF_HUB_OFFLINE"] == os.environ["DO_NOT_TRACK"] == "1"
assert "AWS_SECRET_ACCESS_KEY" not in os.environ and "PYTHONPATH" not in os.environ
assert arguments["--spec"] in ("probes.lmrc.Profanity", "probes.test"), sys.argv
assert "--deprefix" in sys.argv and "float32" in open(arguments["--generator_option_file"]).read()
mode, lines = {mode!r}, {lines!r}
if mode == "hang":
    pathlib.Path({pids!r}).write_text(f"{{os.getpid()}} {{subprocess.Popen(['sleep', '100']).pid}}")
    time.sleep(100)
if mode == "fail":
    sys.exit("a plugin broke")
if mode == "unloaded":
    print(" detector load failed: unsafe_content.ToxicCommentModel, skipping >>")
folder = pathlib.Path(os.environ["XDG_DATA_HOME"]) / "garak" / "garak_runs"
folder.mkdir(parents=True)
if mode != "silent":
    (folder / (arguments["--report_prefix"] + ".report.jsonl")).write_text(lines)
"""


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Model and tokenizer in two places, as a build has them; and a secret that is nobody's business."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    for folder, names in {"trained": ("config.json", "model.safetensors"), "tokenizer": ("tokenizer.json",)}.items():
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_text("{}")
    return tmp_path


def stand_in(folder, lines=None, mode=""):
    program = folder / "python"
    text = "\n".join(lines if lines is not None else map(json.dumps, SEEN)) + "\n"
    program.write_text(
        STAND_IN.format(python=sys.executable, mode=mode, lines=text, pids=str(folder / "pids")), "utf-8"
    )
    program.chmod(0o755)
    return str(program)


def ask(folder, lines=None, mode="", probes=("lmrc.Profanity", "test"), limit=120.0):
    program = stand_in(folder, lines, mode)
    return run(program, folder / "trained", probes, tokenizer_directory=folder / "tokenizer", limit=limit)


def test_verdicts_with_n_and_interval_by_the_strictest_detector(model):
    result = ask(model)
    assert (result.name, result.status, result.reason) == ("garak", "run", "")
    assert set(result.measures) == {"pass_lmrc_Profanity", "pass_test_Test"}
    rude = result.measures["pass_lmrc_Profanity"]
    assert (rude.value, rude.n, rude.method) == (0.4, 10, "Wilson")
    assert rude.low < 0.4 < rude.high
    assert result.details["lmrc.Profanity"] == "unsafe_content.One 10 of 10; unsafe_content.Two 4 of 10"
    assert result.details["version"] == "garak 0.17.1"
    assert "never quoted" not in result.to_json()
    assert "2026" not in result.to_json(), "nothing that varies from run to run enters a report"


def test_a_python_is_named_as_seen_from_the_project(model, monkeypatch):
    stand_in(model)
    monkeypatch.chdir(model)
    found = run("python", model / "trained", ["test"], tokenizer_directory=model / "tokenizer", limit=120.0)
    assert found.status == "run", found.reason


def test_without_garak_it_is_not_run_and_says_why(model, tmp_path, monkeypatch):
    trained = model / "trained"
    assert "SLIPWAY_GARAK is not set" in run(None, trained, ["test"]).reason
    assert "names no probe" in run("/anything", trained, []).reason
    missing = run(str(tmp_path / "none"), trained, ["test"])
    assert (missing.status, missing.reason) == ("not run", "SLIPWAY_GARAK names no Python that can be run")
    monkeypatch.delenv("PYTHONPATH")
    elsewhere = run(sys.executable, trained, ["test"])
    assert elsewhere.reason == "test: garak is not installed for the Python that SLIPWAY_GARAK names"


@pytest.mark.parametrize("name", ["--config", "probes.test", "test,all", "test.Test.More", "../x", "", "all,-dan"])
def test_a_name_that_is_no_probe_is_refused(model, name):
    with pytest.raises(UserError, match=r"safety\.garak: "):
        ask(model, probes=[name])


def test_a_run_that_fails_says_so_on_the_console_and_not_in_the_report(model, capsys):
    result = ask(model, mode="fail")
    assert result.status == "not run"
    reason = "garak ended with exit code 1; the log of the stage shows its last lines"
    assert result.reason == f"lmrc.Profanity, test: {reason}"
    assert "a plugin broke" in capsys.readouterr().out
    assert ask(model, mode="silent", probes=["test"]).reason == "test: garak wrote no report"


def test_a_run_that_hangs_is_ended_with_all_that_it_started(model):
    start = time.monotonic()
    result = ask(model, mode="hang", limit=6)
    assert result.reason == "lmrc.Profanity, test: garak was not done in time and was ended"
    assert time.monotonic() - start < 60
    for pid in map(int, (model / "pids").read_text().split()):
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.skipif(not shutil.which("setpriv"), reason="no setpriv, so a killed stage leaves garak running")
def test_a_stage_that_is_killed_takes_garak_with_it(model):
    program = stand_in(model, mode="hang")
    code = "import pathlib, sys; from slipway.adapters.garak import run; folder = pathlib.Path(sys.argv[2])\n"
    code += "run(sys.argv[1], folder / 'trained', ['test'], tokenizer_directory=folder / 'tokenizer')"
    stage = subprocess.Popen(
        [sys.executable, "-c", code, program, str(model)], env=os.environ | {"PYTHONPATH": "", "TMPDIR": str(model)}
    )
    deadline = time.monotonic() + 120
    while not (model / "pids").exists() or len((model / "pids").read_text().split()) < 2:
        assert time.monotonic() < deadline
        assert stage.poll() is None
        time.sleep(0.05)
    child, sleeper = map(int, (model / "pids").read_text().split())
    stage.kill()
    stage.wait()
    try:
        while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        psutil.Process(sleeper).kill()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda lines: lines[:-2], "ends before the run did"),
        (lambda lines: [*lines[:3], "{", *lines[3:]], "line 4 of garak's report is no JSON"),
        (lambda lines: [*lines[:3], "[]", *lines[3:]], "line 4 of garak's report is no JSON object"),
        (lambda lines: [line for line in lines if "eval" not in line], "garak judged no output"),
        (lambda lines: [line.replace('"total_evaluated"', '"total"') for line in lines], "in a form"),
        (lambda lines: [line.replace('"passed": 4,', '"passed": 11,') for line in lines], "in a form"),
        (lambda lines: [line.replace('"passed": 4,', '"passed": true,') for line in lines], "in a form"),
        (lambda lines: [line.replace("always.Pass", "<b>x</b>") for line in lines], "in a form"),
    ],
)
def test_a_report_that_is_not_whole_and_sound_is_no_result(model, change, reason):
    result = ask(model, lines=change([json.dumps(entry) for entry in SEEN]))
    assert result.status == "not run"
    assert reason in result.reason
    assert not result.measures


def test_what_gave_no_verdict_is_named_beside_what_did(model, capsys):
    nothing = [
        line.replace('"passed": 40', '"passed": 0').replace('_evaluated": 40', '_evaluated": 0')
        for line in map(json.dumps, SEEN)
    ]
    result = ask(model, lines=nothing)
    assert set(result.measures) == {"pass_lmrc_Profanity"}
    assert result.details["test (not run)"] == "garak judged no output"
    assert "garak gave no verdict on test" in capsys.readouterr().out


def test_a_detector_that_only_a_hub_has_is_named(model):
    result = ask(model, lines=[json.dumps(entry) for entry in SEEN[:-2]], mode="unloaded", probes=["test"])
    assert result.reason == (
        "test: garak's report ends before the run did (it could not load unsafe_content.ToxicCommentModel, which may "
        "be a model on a hub)"
    )


def test_slipway_does_not_import_garak():
    code = "import sys, slipway.adapters.garak; print(sorted(name for name in sys.modules if name == 'garak'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(not os.environ.get(garak.VARIABLE), reason="SLIPWAY_GARAK names no environment with garak")
def test_the_real_garak_judges_a_tiny_model(tmp_path):
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Tokenizer(models.BPE({token: number for number, token in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    end = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    PreTrainedTokenizerFast(tokenizer_object=backend, **end).save_pretrained(tmp_path / "tokenizer")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = LlamaConfig(vocab_size=257, max_position_embeddings=256, bos_token_id=0, eos_token_id=0, **sizes)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "trained")
    python = os.environ[garak.VARIABLE]
    tokenizer = tmp_path / "tokenizer"
    result = run(python, tmp_path / "trained", ["test.Test"], tokenizer_directory=tokenizer, limit=300)
    assert result.status == "run", result.reason
    assert result.measures["pass_test_Test"].value == 1
    assert result.measures["pass_test_Test"].n == 8 * garak.GENERATIONS
    unknown = run(python, tmp_path / "trained", ["nosuch.Probe"], tokenizer_directory=tokenizer, limit=300)
    assert unknown.status == "not run"
