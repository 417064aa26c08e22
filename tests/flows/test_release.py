"""The release half as it is run: killed anywhere, twice at once, refused, waiting, and again when all is done.

Most tests run the steps as the flow does but without Prefect, whose start takes longer than they do; the last one
runs the command itself.
"""

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from flows import steps
from flows.release_console import facts, released_already
from slipway.adapters.store import LocalStore
from slipway.errors import Refusal, Waiting
from slipway.release.approvals import approval
from slipway.release.bundle import manifest
from slipway.release.journal import Journal
from slipway.release.reading import verify
from slipway.release.signing import keys
from tests import release_project

RUN = (
    "import sys\nfrom pathlib import Path\nfrom flows import steps\nroot = Path.cwd()\n"
    "with steps.release_lock(root):\n    for name in steps.STEPS:\n"
    "        steps.perform(steps.open_context(root), name)\n"
)


def journal(root: Path) -> list[dict]:
    return Journal.of(root, manifest.digest(root / "bundle")).entries()


def check_once(root: Path) -> None:
    """Released exactly once: one claim, one complete release, one model version, the channel at it."""
    from slipway.adapters.tracking.client import client

    store = LocalStore(root / ".slipway" / "store")
    verified = verify.verify_channel(store, "tiny", "stable", keys.public_key(root))
    assert (verified.release.version, verified.release.sequence) == ("v1", 1)
    objects = Counter(key.split("/")[0] for key in store.list() if not key.startswith((".tmp/", ".swap.lock")))
    assert objects == {"claims": 1, "channels": 1, "releases": 19}
    (version,) = client(root).search_model_versions("name = 'tiny'")
    assert client(root).get_model_version_by_alias("tiny", "released").version == version.version
    experiment = client(root).get_experiment_by_name("tiny")
    assert len(client(root).search_logged_models([experiment.experiment_id])) == 1


def kill_in(root: Path, step: str, delay: float, environment: dict[str, str]) -> bool:
    """Start a release, SIGKILL it `delay` seconds after `step` began; whether it was caught."""
    before = len(journal(root))
    process = release_project.start(RUN, root, environment)
    while process.poll() is None:
        if any(entry["step"] == step for entry in journal(root)[before:]):
            time.sleep(delay)
            process.kill()
            break
        time.sleep(0.002)
    output, _ = process.communicate()
    assert process.returncode in {0, -signal.SIGKILL}, output
    return process.returncode != 0


@pytest.mark.journey
def test_killed_in_every_step_it_finishes_and_nothing_is_doubled(project, run, environment):
    rng = random.Random(7)
    killed = [step for step in steps.STEPS if kill_in(project, step, rng.uniform(0, 0.06), environment)]
    assert len(killed) >= 4, f"too few steps were caught in the act: {killed}"
    run(project)
    check_once(project)


def test_two_releases_at_once_make_one(project, environment):
    with steps.release_lock(project):  # until both stand before it
        processes = [release_project.start(RUN, project, environment) for _ in range(2)]
        told = [next(line for line in process.stdout if "is releasing; waiting" in line) for process in processes]
    outputs = [process.stdout.read() for process in processes]
    assert [process.wait() for process in processes] == [0, 0], outputs
    assert all(f"process {os.getpid()} is releasing" in line for line in told)
    check_once(project)


def test_a_second_run_sends_nothing_and_a_third_needs_no_prefect(project, run, capsys):
    assert not released_already(project)
    run(project)
    before = {path: path.stat().st_mtime_ns for path in (project / ".slipway" / "store").rglob("*") if path.is_file()}
    run(project)
    assert released_already(project)
    assert {p: p.stat().st_mtime_ns for p in (project / ".slipway" / "store").rglob("*") if p.is_file()} == before
    shown = capsys.readouterr().out
    for words in (
        "nothing to do",
        manifest.digest(project / "bundle"),
        "GO (11 checks)",
        "slipway verify",
        "report.html",
    ):
        assert words in shown
    check_once(project)


def test_another_store_is_another_release(project, run, tmp_path, monkeypatch):
    run(project)
    monkeypatch.setenv("SLIPWAY_STORE", str(tmp_path / "elsewhere"))
    assert not released_already(project)
    run(project)
    assert released_already(project)
    verify.verify_channel(LocalStore(tmp_path / "elsewhere"), "tiny", "stable", keys.public_key(project))


def test_a_flipped_byte_in_what_was_published_is_found_on_the_next_run(project, run):
    run(project)
    release_project.flip(project / ".slipway" / "store" / "releases" / "tiny" / "v1" / "model.safetensors")
    with pytest.raises(Refusal, match=r"v1/model\.safetensors: sha256 is"):
        released_already(project)
    with pytest.raises(Refusal, match=r"v1/model\.safetensors: sha256 is"):
        run(project)


def test_no_go_publishes_nothing(project, run):
    release_project.flip(project / "bundle" / "model.safetensors")
    with pytest.raises(Refusal, match=r"(?s)NO-GO.*model\.safetensors: changed.*Nothing was signed or published"):
        run(project)
    assert not (project / ".slipway" / "store").exists()
    assert not (project / ".slipway" / "keys").exists()


def test_a_changed_bound_stops_a_release_that_was_made(project, run):
    run(project)
    values = release_project.values()
    values["release"]["gate"]["checks"][1]["bound"] = 1.0
    (project / "params.yaml").write_text(json.dumps(values))
    with pytest.raises(Refusal, match=r"1\.92315 not < 1"):
        released_already(project)


def test_an_approval_is_waited_for_and_stands_in_the_statement(project, run):
    from slipway.release import statement

    key = release_project.key_pair(project / "people" / "ana.key")
    policy = {"required": 1, "approvers": {"ana": "people/ana.pub"}}
    (project / "params.yaml").write_text(json.dumps(release_project.values(approval=policy)))
    release_project.bundle(project)
    with pytest.raises(Waiting, match="0 of 1"):
        run(project)
    assert not (project / ".slipway" / "store").exists()
    approval.approve(project, manifest.digest(project / "bundle"), "ana", key)
    run(project)
    data = (project / ".slipway" / "store" / "releases" / "tiny" / "v1" / "statement.json").read_bytes()
    _, content = statement.read(data, keys.public_key(project))
    internal = content["predicate"]["buildDefinition"]["internalParameters"]
    assert internal["approvals"]["summary"] == "approved by ana"
    assert internal["ledger"]["all_runs"]["attempts"] == 0
    release_project.bundle(project, card="# Other bytes\n")
    with pytest.raises(Waiting, match="0 of 1"):
        run(project)


def test_what_training_cost_is_signed_and_shown_and_a_second_run_keeps_it(project, run, capsys, monkeypatch):
    from flows import status
    from slipway.release import statement

    assert steps.spent(project) is None
    release_project.ledger(project)
    values = release_project.values()
    values["bundle"]["price"] = {"per_device_hour": 2.5, "currency": "USD"}
    (project / "params.yaml").write_text(json.dumps(values))
    release_project.bundle(project)
    run(project)
    release = project / ".slipway" / "store" / "releases" / "tiny" / "v1"
    _, content = statement.read((release / "statement.json").read_bytes(), keys.public_key(project))
    stated = content["predicate"]["buildDefinition"]["internalParameters"]["ledger"]
    assert (stated["this_run"]["cost"], stated["all_runs"]["cost"], stated["this_run"]["energy_kwh"]) == (5, 7.5, None)
    page = (release / "LEDGER.md").read_bytes()
    assert b"| Cost | 5.00 USD | 7.50 USD |" in page
    (project / ".slipway" / "ledger" / "c.json").unlink()
    run(project)
    assert (release / "LEDGER.md").read_bytes() == page, "what was signed stays, whatever was trained since"
    check_once(project)
    monkeypatch.setattr(status, "stale", lambda _: set())  # asks DVC, which has no repository here
    assert status.main() == 0
    assert "ledger      2 attempts (2 of this run), 2 device-hours, 128 tokens" in capsys.readouterr().out


def test_a_bundle_made_anew_on_the_way_is_not_released(project):
    context = steps.open_context(project)
    steps.perform(context, "gate")
    release_project.bundle(project, card="# Other bytes\n")
    with pytest.raises(Refusal, match=f"this release began with {context.digest}"):
        steps.perform(context, "approve")


def test_an_edited_scan_report_does_not_pass_the_gate(project, run):
    (project / "bundle" / "LICENSE").write_text("AKIA" + "ABCDEFGHIJKLMNOP\n")
    digest = manifest.write(project / "bundle", "tiny")
    files = len(manifest.read(project / "bundle").files) + 1
    forged = {"bundle_digest": digest, "files_scanned": files, "passed": True, "findings": []}
    release_project.report(project, "scan", forged)
    with pytest.raises(Refusal, match=r"NO-GO +scan now: passed: False"):
        run(project)


def test_the_table_shows_no_password_and_who_has_the_channel(project, run, monkeypatch):
    run(project)
    first = steps.open_context(project)
    assert facts(first)["channel"] == "stable points at v1"
    release_project.bundle(project, card="# Second\n")
    run(project)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://bob:secret@mlflow.example:5000/x")
    shown = facts(first, steps.reverify(first))
    assert shown["channel"] == "stable points at v2, a later release"
    assert shown["mlflow"] == "https://mlflow.example:5000/x (model tiny)"


@pytest.mark.journey
def test_the_command_itself(server_project, environment):
    project = server_project

    def command(expect: int) -> str:
        process = release_project.start(
            "import sys\nfrom flows.release_console import main\nsys.exit(main(['--no-build']))", project, environment
        )
        output, _ = process.communicate(timeout=280)
        assert process.returncode == expect, output
        assert "Traceback" not in output
        return output

    shown = command(0)
    for words in (
        "[gate] GO",
        "[publish] 19 files sent",
        "[verify] 19 files",
        "slipway verify",
        "report.html",
        "slipway up",
    ):
        assert words in shown
    started = time.monotonic()
    assert "nothing to do" in command(0)
    assert time.monotonic() - started < 60
    release_project.flip(project / "bundle" / "config.json")
    assert "config.json: changed" in command(1)
    check_once(project)
    done = subprocess.run(["git", "status"], cwd=project, capture_output=True, check=False)
    assert done.returncode != 0, "the project is no git checkout, and a release says so instead of failing"
