"""A release that goes to a hub too: one commit, in journal, table and MLflow; a crash between commit and answer."""

import json

import pytest

from flows import steps
from flows.release_console import facts, released_already
from slipway.adapters import hub as hubs
from slipway.errors import Refusal, UserError
from slipway.release.reading import verify
from slipway.release.signing import keys
from tests import release_project
from tests.adapters import hub_stub
from tests.adapters.test_hub import ATTRIBUTES, NAME, hub, repository  # noqa: F401  fixtures


@pytest.fixture
def for_hub(project, repository):  # noqa: F811
    (project / "params.yaml").write_text(json.dumps(release_project.values(hub=NAME)))
    release_project.bundle(project)
    return project


def test_the_release_lies_on_the_hub_and_everybody_is_told_where(for_hub, run, repository, capsys):  # noqa: F811
    from slipway.adapters.tracking.client import client

    run(for_hub)
    address = f"hub://{NAME}@{repository.branches['main']}"
    assert repository.tags == {"v1": repository.branches["main"]}
    assert verify.verify(hubs.open_hub(address), "", keys.public_key(for_hub)).release.version == "v1"
    context = steps.open_context(for_hub)
    assert facts(context)["hub"] == address
    (version,) = client(for_hub).search_model_versions("name = 'tiny'")
    assert version.tags["slipway.hub"] == address
    assert repository.log(repository.branches["main"])[0][1] == f"tiny v1: bundle {context.digest}"
    run(for_hub)
    assert released_already(for_hub)
    assert len(repository.log(repository.branches["main"])) == 2, "a second run commits nothing"


def test_a_withdrawn_release_is_refused_where_it_lies_on_the_hub(for_hub, run, repository):  # noqa: F811
    from flows import hub as wiring
    from slipway.release.signing.envelope import seal
    from slipway.release.withdrawal import tombstone

    run(for_hub)
    context = steps.open_context(for_hub)
    address = facts(context)["hub"]
    stone = tombstone.Yanked(
        name="tiny", version="v1", manifest_sha256=context.digest, reason="leaks", time="2026-01-01T00:00:00+00:00",
        replaced_by=None,
    )  # fmt: skip
    signed = seal(stone.model_dump(mode="json"), tombstone.TYPE, context.signer)
    assert wiring.withdraw(NAME, "tiny", "v1", context.digest, signed) == [address]
    with pytest.raises(Refusal, match="was withdrawn on 2026-01-01"):
        verify.verify(hubs.open_hub(address), "", keys.public_key(for_hub))
    assert wiring.withdraw(NAME, "tiny", "v9", context.digest, signed) == []


def test_a_crash_after_the_commit_makes_no_second_one(for_hub, run, hub, repository):  # noqa: F811
    hub.after_commit = lambda: None
    with pytest.raises(UserError, match="the hub is not reached"):
        run(for_hub)
    assert not repository.tags
    run(for_hub)
    assert len(repository.log(repository.branches["main"])) == 2
    assert repository.tags == {"v1": repository.branches["main"]}


def test_a_commit_that_only_bears_the_name_of_the_release_is_not_taken_for_it(for_hub, run, repository):  # noqa: F811
    title = f"tiny v1: bundle {steps.open_context(for_hub).digest}"
    forged = repository.commit({".gitattributes": ATTRIBUTES, "model.safetensors": b"evil"}, title=title)
    run(for_hub)
    assert repository.branches["main"] != forged
    assert repository.tags == {"v1": repository.branches["main"]}


def test_a_hub_that_cannot_be_reached_stops_the_release_before_anything_is_signed(for_hub, run, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE=0 slipway"):
        run(for_hub)
    assert not (for_hub / ".slipway" / "store").exists()


def test_what_the_hub_garbles_is_found_and_not_tagged(for_hub, run, repository, monkeypatch):  # noqa: F811
    garble = hub_stub.Repository.commit

    def commit(self, files, branch="main", title=""):
        return garble(self, files | {"config.json": b"{}  \n"}, branch, title)

    monkeypatch.setattr(hub_stub.Repository, "commit", commit)  # the server's own fault, not ours
    with pytest.raises(Refusal, match=r"config\.json: sha256 is .*It was not tagged"):
        run(for_hub)
    assert not repository.tags


def test_the_command_verifies_it_at_its_commit(for_hub, run, capsys):
    from slipway.cli import main

    run(for_hub)
    address = facts(steps.open_context(for_hub))["hub"]
    capsys.readouterr()
    assert main(["verify", address, "--key", str(for_hub / ".slipway" / "keys" / "release.pub")]) == 0
    assert f"verified\n{address}" in capsys.readouterr().out
    assert main(["verify", address.rpartition("@")[0] + "@main"]) == 2
    assert "40 digits of the commit" in capsys.readouterr().err
