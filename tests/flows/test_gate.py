"""The gate where people meet it: `slipway gate`, the step of a release, the page, the MLflow run, the registry."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows import gate_console, gating, steps
from flows.release_console import gate_table, released_already
from slipway.errors import Refusal
from slipway.files import write_atomic
from slipway.records import GateVerdict
from slipway.release.bundle import manifest
from tests import evaluation_records, gate_records, release_project


def built_by(root, run_id):
    """As a finished build leaves it."""
    from slipway.adapters.tracking import runs

    kept = runs.BuiltBy(name="tiny", run_id=run_id)
    write_atomic(root / runs.KEPT / f"{manifest.digest(root / 'bundle')}.json", kept.to_json())


def built(root: Path) -> str:
    """An MLflow run that built the bundle as it lies."""
    from slipway.adapters.tracking import start_build_run
    from slipway.adapters.tracking.client import client

    run_id = start_build_run(root, "tiny", {"name": "tiny"})
    client(root).set_terminated(run_id)
    built_by(root, run_id)
    return run_id


def page(root: Path) -> Path:
    return root / ".slipway" / "releases" / manifest.digest(root / "bundle") / "GATE.html"


def worse(root: Path, seed: int, **how) -> None:
    """Another model in the project, with items of its own."""
    release_project.bundle(root, seed=seed, rows=evaluation_records.items(**how))


def line(verdict: GateVerdict, name: str):
    (found,) = (line for line in verdict.lines if line.id == name)
    return found


def test_the_command_judges_and_releases_nothing(project, tmp_path, capsys):
    out = tmp_path / "verdict.json"
    assert gate_console.main(["--json", str(out)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("gate: GO for bundle")
    for words in ("bits_per_byte vs champion", "built-in", "critical", "no run built this bundle", str(page(project))):
        assert words in shown
    verdict = GateVerdict.model_validate_json(out.read_text())
    assert (verdict.verdict, verdict.champion, verdict.bundle_digest) == (
        "GO",
        None,
        manifest.digest(project / "bundle"),
    )
    assert page(project).is_file()
    for name in ("store", "keys"):
        assert not (project / ".slipway" / name).exists()
    assert steps.open_context(project).journal.entries() == [], "asking is no step of a release"


def test_no_go_and_inconclusive_end_with_one_and_say_which(project, run, capsys):
    run(project)
    worse(project, 1, bits=2.0)
    assert gate_console.main([]) == 1
    assert capsys.readouterr().out.startswith("gate: NO-GO for bundle")
    worse(project, 2, bits=1.919, noise=3)
    assert gate_console.main([]) == 1
    assert capsys.readouterr().out.startswith("gate: INCONCLUSIVE for bundle")
    (project / "bundle" / "manifest.json").unlink()
    assert gate_console.main([]) == 2
    assert "manifest.json: no such file" in capsys.readouterr().err


def test_it_starts_without_prefect_and_torch(project, environment):
    code = (
        "import sys\nfrom flows.gate_console import main\nassert main([]) == 0\n"
        "heavy = {'prefect', 'torch', 'transformers', 'dvc', 'great_expectations', 'boto3'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    process = release_project.start(code, project, environment)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output


def test_without_a_tracker_none_is_made_or_imported(project, environment):
    (project / ".slipway" / "mlflow.db").unlink()
    code = "import sys\nfrom flows.gate_console import main\nassert main([]) == 0\nassert 'mlflow' not in sys.modules"
    process = release_project.start(code, project, environment)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert not (project / ".slipway" / "mlflow.db").exists()


def test_a_tracker_that_does_not_answer_is_said_and_decides_nothing(project, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    built_by(project, "00" * 16)
    assert gate_console.main([]) == 0
    shown = capsys.readouterr()
    assert "the signed channel alone says who the champion is" in shown.err
    assert "MLflow did not take the verdict" in shown.out


def test_a_database_that_is_none_is_said_and_decides_nothing(project, capsys):
    (project / ".slipway" / "mlflow.db").write_text("no database")
    built_by(project, "00" * 16)
    assert gate_console.main([]) == 0
    assert "MLflow did not take the verdict" in capsys.readouterr().out


def test_a_verdict_that_cannot_be_written_is_said(project, tmp_path, capsys):
    assert gate_console.main(["--json", str(tmp_path)]) == 2
    assert f"--json {tmp_path}: cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("late", ["sign", "publish"])
def test_a_channel_that_moved_after_the_gate_was_asked_is_not_moved_on(project, run, tmp_path, late):
    """Two publishers ask beside v1; the slower one must not pass v2, which nothing compared it with."""
    run(project)
    other = release_project.make(tmp_path / "other")
    shutil.copytree(project / ".slipway", other / ".slipway", ignore=shutil.ignore_patterns("store", "releases"))
    (other / ".slipway" / "store").symlink_to(project / ".slipway" / "store")
    release_project.bundle(other, card="# Faster\n")
    release_project.bundle(project, card="# Slower\n")
    names = list(steps.STEPS)
    for name in ("gate", "approve", "sign"):  # it is v2, and what comes after it v3
        steps.perform(steps.open_context(other), name)
    for name in names[: names.index(late)]:
        steps.perform(steps.open_context(project), name)
    for name in ("register", "publish", "verify"):
        steps.perform(steps.open_context(other), name)
    with pytest.raises(Refusal, match="names tiny v2 by now, but the gate compared with tiny v1"):
        steps.perform(steps.open_context(project), late)
    assert gating.champion(steps.open_context(project)).release == "tiny v2"
    shutil.copy(other / ".slipway" / "mlflow.db", project / ".slipway" / "mlflow.db")
    run(project)
    assert gating.champion(steps.open_context(project)).release == "tiny v3"


def test_the_cli_knows_it(project, environment):
    command = [sys.executable, "-c", "from slipway.cli import main; main(['gate', '--json', 'verdict.json'])"]
    environment = environment | {"PYTHONPATH": str(release_project.ROOT)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert GateVerdict.model_validate_json((project / "verdict.json").read_text()).verdict == "GO"


def test_a_refused_gate_is_kept_where_people_look(project, run):
    from slipway.adapters.tracking.client import client

    run(project)
    worse(project, 1, bits=2.0)
    run_id = built(project)
    with pytest.raises(
        gating.NotGo, match=rf"(?s)NO-GO.*page +\S+GATE\.html.*run {run_id}.*Nothing was signed"
    ) as refused:
        run(project)
    again = pickle.loads(pickle.dumps(refused.value))  # noqa: S301  our own
    assert (str(again), again.verdict) == (str(refused.value), refused.value.verdict), "as Prefect keeps it"
    found = line(refused.value.verdict, "bits_per_byte vs champion")
    assert found.verdict == "NO-GO"
    kept = client(project).get_run(run_id).data
    assert kept.tags["slipway.gate"] == "NO-GO"
    assert kept.tags["slipway.gate.champion"] == "tiny v1"
    name = "gate.bits_per_byte vs champion"
    assert kept.metrics[name] == pytest.approx(-0.1, abs=1e-6)
    assert kept.metrics[f"{name}.low"] <= kept.metrics[name] <= kept.metrics[f"{name}.high"]
    assert "GATE.html" in {item.path for item in client(project).list_artifacts(run_id)}
    text = page(project).read_text()
    assert "NO-GO" in text
    assert 'href="../../../bundle/report.html"' in text
    assert (page(project).parent / "../../../bundle/report.html").resolve() == project / "bundle" / "report.html"
    assert [entry["event"] for entry in steps.open_context(project).journal.entries()] == ["begin"]


def test_a_release_keeps_it_in_statement_run_and_registry(project, run):
    from slipway.adapters.tracking.client import client

    run_id = built(project)
    run(project)
    place = project / ".slipway" / "store" / "releases" / "tiny" / "v1"
    assert "in place of a champion" in (place / "GATE.html").read_text()
    assert client(project).get_run(run_id).data.tags["slipway.gate"] == "GO"
    (version,) = client(project).search_model_versions("name = 'tiny'")
    assert version.tags["slipway.gate"] == "GO"
    assert version.tags["slipway.gate.champion"].startswith("none; what each task is held against")
    release_project.bundle(project, card="# Second\n")
    run(project)
    tags = {
        found.tags["slipway.version"]: found.tags for found in client(project).search_model_versions("name = 'tiny'")
    }
    assert tags["v2"]["slipway.gate.champion"] == "tiny v1"
    assert "Compared with the champion, tiny v1." in (place.parent / "v2" / "GATE.html").read_text()


def test_what_is_released_is_judged_again_and_does_not_compete_with_itself(project, run, capsys):
    run(project)
    assert released_already(project)
    capsys.readouterr()
    assert gate_console.main([]) == 0
    assert "this very bundle is tiny v1 already" in capsys.readouterr().out


def test_two_champions_are_none(project, run):
    """The alias in MLflow was moved by hand, to a release of this store that the channel does not name."""
    from slipway.adapters.tracking.client import client

    run(project)
    release_project.bundle(project, card="# Second\n")
    run(project)
    client(project).set_registered_model_alias("tiny", "released", "1")
    verdict = gating.judge(steps.open_context(project))
    assert verdict.verdict == "GO", "its own release is taken up again, and moves the alias back"
    release_project.bundle(project, card="# Third\n")
    verdict = gating.judge(steps.open_context(project))
    found = line(verdict, "bits_per_byte vs champion")
    assert (verdict.verdict, found.verdict) == ("INCONCLUSIVE", "INCONCLUSIVE")
    assert "two champions" in found.observed
    assert found.action
    client(project).set_registered_model_alias("tiny", "released", "2")
    assert gating.judge(steps.open_context(project)).verdict == "GO"
    client(project).set_registered_model_alias("tiny", "released", "1")
    client(project).set_model_version_tag("tiny", "1", "slipway.channel", "nightly")
    verdict = gating.judge(steps.open_context(project))
    assert line(verdict, "bits_per_byte vs champion").verdict == "GO", "the alias speaks of another channel"


def test_a_release_in_another_store_is_no_champion_here(project, run, tmp_path, monkeypatch):
    run(project)
    monkeypatch.setenv("SLIPWAY_STORE", str(tmp_path / "elsewhere"))
    release_project.bundle(project, card="# Second\n")
    verdict = gating.judge(steps.open_context(project))
    assert (verdict.verdict, verdict.champion) == ("GO", None)


def test_an_altered_champion_is_refused(project, run):
    run(project)
    release_project.flip(
        project / ".slipway" / "store" / "releases" / "tiny" / "v1" / "records" / "evaluate_items.parquet"
    )
    release_project.bundle(project, card="# Second\n")
    with pytest.raises(Refusal, match=r"evaluate_items\.parquet: not the bytes that were signed"):
        gating.judge(steps.open_context(project))


def test_a_waiver_is_signed_and_on_the_page(project, run):
    run(project)
    values = release_project.values()
    waiver = {"line": "bits_per_byte vs champion", "by": "Ana", "reason": "new data", "expires": "2999-12-31"}
    values["release"]["gate"]["waivers"] = [waiver]
    (project / "params.yaml").write_text(json.dumps(values))
    worse(project, 1, bits=2.0)
    run(project)
    text = (project / ".slipway" / "store" / "releases" / "tiny" / "v2" / "GATE.html").read_text()
    assert "Ana, until 2999-12-31: new data" in text
    assert "NO-GO, waived" in text


def test_the_table_of_the_flow_has_every_line():
    verdict = gate_records.verdict("ab" * 32)
    shown = gate_table(verdict)
    assert shown.startswith("**GO**, compared with tiny v0")
    rows = [row for row in shown.splitlines() if row.startswith("| ")]
    assert len(rows) == 1 + len(verdict.lines)
    assert all(row.count("|") == 6 for row in rows)
    odd = verdict.lines[0].model_copy(update={"observed": "a | b\nc"})
    assert r"| a \| b c |" in gate_table(verdict.model_copy(update={"lines": (odd,)}))
