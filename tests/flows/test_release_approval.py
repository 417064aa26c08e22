"""Approval on the way of a release: who is asked, what is shown, and what approves nothing."""

import io
import json
import subprocess

import pytest

from flows import steps
from flows.release_console import facts, released_already
from slipway.cli import main
from slipway.errors import Refusal, UserError, Waiting
from slipway.release import statement
from slipway.release.bundle import manifest
from tests import release_project


@pytest.fixture
def people(project, tmp_path):
    """Ana and Ben approve, the keys lie outside of the project."""
    for name in ("ana", "ben"):
        release_project.key_pair(tmp_path / "people" / f"{name}.key")
        (project / f"{name}.pub").write_bytes((tmp_path / "people" / f"{name}.pub").read_bytes())

    def asks_for(required):
        policy = {"required": required, "approvers": {name: f"{name}.pub" for name in ("ana", "ben")}}
        (project / "params.yaml").write_text(json.dumps(release_project.values(approval=policy)))
        release_project.bundle(project)

    def approve(name, *more):
        return main(["approve", "--as", name, "--key", str(tmp_path / "people" / f"{name}.key"), *more])

    asks_for(1)
    project.asks_for, project.approve = asks_for, approve
    return project


@pytest.fixture
def project(project):
    class Root(type(project)):
        """A path that fixtures can hang something on."""

        asks_for = approve = None

    return Root(project)


def internal(root):
    data = (root / ".slipway" / "store" / "releases" / "tiny" / "v1" / "statement.json").read_bytes()
    from slipway.release.signing import keys

    _, content = statement.read(data, keys.public_key(root))
    return content["predicate"]["buildDefinition"]["internalParameters"]


def test_a_tag_set_by_hand_in_mlflow_approves_nothing(people, run):
    from slipway.adapters.tracking.client import client

    digest = manifest.digest(people / "bundle")
    mlflow = client(people)
    mlflow.create_registered_model("tiny", tags={"approved": "true", "slipway.approval": "approved by ana"})
    tags = {"slipway.bundle_digest": digest, "approved": "true", "approver": "ana", "slipway.gate": "GO"}
    version = mlflow.create_model_version("tiny", "file:///nowhere", tags=tags).version
    for alias in ("approved", "candidate"):
        mlflow.set_registered_model_alias("tiny", alias, version)
    with pytest.raises(Waiting, match="0 of 1"):
        run(people)
    assert not (people / ".slipway" / "store").exists()
    assert people.approve("ana", "--yes") == 0
    run(people)
    assert internal(people)["approvals"]["summary"] == "approved by ana"


def test_the_approver_is_shown_what_it_is_and_asked(people, run, capsys, monkeypatch):
    assert people.approve("ana", "--yes") == 2, "the gate was not asked yet, so there is nothing to approve"
    assert "the gate did not judge it yet" in capsys.readouterr().err
    with pytest.raises(Waiting):
        run(people)
    assert people.approve("ana") == 2
    shown = capsys.readouterr().err
    for words in ("Slipway pydocs", manifest.digest(people / "bundle"), "GO, compared with", "openness", "no terminal"):
        assert words in shown
    for answer, code in (("n\n", 2), ("\n", 2), ("y\n", 0)):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        assert people.approve("ana") == code
    run(people)
    assert facts(steps.open_context(people))["approval"] == "approved by ana"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_an_approval_holds_when_the_release_is_taken_up_again_and_on_the_next_run(people, run):
    with pytest.raises(Waiting):
        run(people)
    assert people.approve("ana", "--yes") == 0
    context = steps.open_context(people)
    for name in ("gate", "approve", "sign", "register", "publish"):
        steps.perform(context, name)
    run(people)  # the channel names it by now, so the gate compares it with itself
    assert released_already(people)
    kept = internal(people)["approvals"]["approvers"][0]
    assert kept["envelope"]


def test_a_changed_byte_voids_it(people, run):
    with pytest.raises(Waiting):
        run(people)
    assert people.approve("ana", "--yes") == 0
    release_project.bundle(people, card="# Other bytes\n")
    with pytest.raises(Waiting, match="0 of 1"):
        run(people)


def test_a_veto_stops_it_also_where_nobody_must_approve(people, run):
    people.asks_for(0)
    assert people.approve("ben", "--reject", "--reason", "wrong licence", "--yes") == 0
    with pytest.raises(Refusal, match="rejected by ben: wrong licence"):
        run(people)
    assert not (people / ".slipway" / "store").exists()
    assert people.approve("ben", "--withdraw", "--yes") == 0
    run(people)
    assert internal(people)["approvals"]["summary"] == "nobody approved"


def test_the_author_of_the_commit_is_not_one_of_two(people, run):
    people.asks_for(2)
    who = ["-c", "user.name=Ana Example", "-c", "user.email=ana@example.org"]
    for arguments in (["init", "-q"], ["add", "params.yaml"], [*who, "commit", "-qm", "x"]):
        subprocess.run(["git", *arguments], cwd=people, check=True)
    with pytest.raises(UserError, match=r"never counts the run's own author: ana wrote the commit.*ana@example\.org"):
        run(people)
    assert not (people / ".slipway" / "store").exists()


def test_a_line_is_taken_in_the_terminal_too(people, run, capsys, tmp_path, monkeypatch):
    with pytest.raises(Waiting, match=r"--digest [0-9a-f]{64} --gate [0-9a-f]{64} --print") as waiting:
        run(people)
    asked = str(waiting.value).split("--key FILE ")[-1].split(" --print")[0].split()
    monkeypatch.chdir(tmp_path / "people")
    capsys.readouterr()
    assert people.approve("ana", *asked, "--print", "--yes") == 0
    line = capsys.readouterr().out
    monkeypatch.chdir(people)
    assert main(["approve", "--take", "approved by ana"]) == 1
    assert main(["approve", "--take", line]) == 0
    run(people)
