"""`slipway yank` in a project: store and MLflow, as a command and as a flow."""

import json

import pytest

from flows import steps, watching, yank_console
from slipway.adapters import tracking
from slipway.adapters.tracking.client import client
from slipway.errors import Refusal, UserError
from slipway.release.reading import verify
from slipway.release.signing import keys
from tests import release_project


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_STATE", str(tmp_path / "state"))


@pytest.fixture
def two(project, run):
    run(project)
    release_project.bundle(project, card="# Second\n")
    run(project)
    return project


def alias(project, name="released"):
    return client(project).get_registered_model("tiny").aliases.get(name)


def test_a_withdrawal_moves_channel_and_alias(two, capsys):
    assert str(alias(two)) == "2"
    code = yank_console.main(["tiny@v2", "--reason", "repeats training text", "--severity", "high"])
    said = capsys.readouterr().out
    assert code == 0, said
    assert "channel    stable: v2 -> v1" in said
    assert "version 2 tagged withdrawn, alias released -> version 1" in said
    assert "told: use v1 instead" in said
    assert (str(alias(two)), alias(two, "candidate")) == ("1", None)
    assert client(two).get_model_version("tiny", "2").tags["slipway.withdrawn"] == "repeats training text"
    context = steps.open_context(two)
    public = keys.public_key(two)
    assert verify.verify_channel(context.store, "tiny", "stable", public).release.version == "v1"
    kept = json.loads((two / ".slipway" / "yanks" / "tiny-v2.json").read_text())
    assert kept["yanked"]["replaced_by"] == "v1"
    assert kept["seconds"] < 60
    assert yank_console.main(["tiny@v2", "--reason", "again"]) == 0
    assert "was withdrawn already: repeats training text" in capsys.readouterr().out


def test_it_cannot_be_released_again_but_a_new_one_can(two, run):
    watching.withdraw(two, "tiny", "v2", watching.Cause("bad"))
    with pytest.raises(Refusal, match="withdrawn"):
        run(two)
    release_project.bundle(two, card="# Third\n")
    run(two)
    assert str(alias(two)) == "3"
    context = steps.open_context(two)
    assert verify.verify_channel(context.store, "tiny", "stable", keys.public_key(two)).release.version == "v3"


def test_nothing_left_means_no_alias(two):
    watching.withdraw(two, "tiny", "v1", watching.Cause("bad"))
    assert str(alias(two)) == "2"
    told = watching.withdraw(two, "tiny", "v2", watching.Cause("bad"))
    assert (told.undone, alias(two), tracking.released(two, "tiny")) == ([], None, None)
    assert "wait for the next release" in yank_console.summary(told)


def test_a_dry_run_changes_nothing(two, capsys):
    before = {path: path.read_bytes() for path in (two / ".slipway" / "store").rglob("*") if path.is_file()}
    assert yank_console.main(["tiny@v2", "--reason", "x", "--dry-run"]) == 0
    assert "channel stable: v2 -> v1" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in (two / ".slipway" / "store").rglob("*") if path.is_file()} == before


def test_mlflow_that_is_down_is_told_and_the_store_is_done(two, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert yank_console.main(["tiny@v2", "--reason", "bad"]) == 1
    assert "NOT DONE   MLflow was not told" in capsys.readouterr().out
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert yank_console.main(["tiny@v2", "--reason", "bad"]) == 0
    assert str(alias(two)) == "1"


def test_what_is_no_release_is_named(two, capsys):
    for text in ("tiny", "@v1", "tiny@", "a/b@c"):
        with pytest.raises(UserError, match="write NAME@VERSION"):
            yank_console.split(text)
    assert yank_console.main(["tiny@v9", "--reason", "x"]) == 2
    assert "no release tiny v9; there are v1, v2" in capsys.readouterr().err


def test_each_channel_has_an_alias_of_its_own(two):
    mlflow = client(two)
    mlflow.set_model_version_tag("tiny", "1", tracking.CHANNEL, "beta")
    digest = mlflow.get_model_version("tiny", "1").tags["slipway.bundle_digest"]
    assert tracking.mark_released(two, "tiny", digest) == "1"
    assert (str(alias(two)), str(alias(two, "released-beta"))) == ("2", "1")
    assert tracking.released(two, "tiny", "beta").channel == "beta"
    tracking.withdraw(two, "tiny", "v1", reason="bad", channels={"beta": None, "stable": "v2"})
    assert (str(alias(two)), alias(two, "released-beta")) == ("2", None)


def test_an_old_pointer_put_back_stops_the_gate_and_is_not_signed_anew(project, run, capsys):
    place = project / ".slipway" / "store" / "channels" / "tiny" / "stable.json"
    run(project)
    old = place.read_bytes()
    release_project.bundle(project, card="# Second\n")
    run(project)
    place.write_bytes(old)
    release_project.bundle(project, card="# Third\n")
    with pytest.raises(Refusal, match=r"is at change 1 \(v1\), but change 2 \(v2\) was here on"):
        steps.perform(steps.open_context(project), "gate")
    assert yank_console.main(["tiny@v2", "--reason", "bad"]) == 1
    assert "NOT DONE   " in (said := capsys.readouterr().out)
    assert "SLIPWAY_RESTORED=tiny/stable@1" in said
    assert place.read_bytes() == old


def test_a_claim_planted_before_the_first_release_stops_the_gate_and_is_named(project):
    context = steps.open_context(project)
    planted = {"name": "tiny", "version": "v1", "sequence": 1, "manifest_sha256": context.digest}
    context.store.create("claims/tiny/000001.json", json.dumps(planted).encode())
    with pytest.raises(Refusal, match=r"claims/tiny/000001\.json: .*remove it, and run this again"):
        steps.perform(context, "gate")
