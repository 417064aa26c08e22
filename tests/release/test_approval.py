"""Approval: listed people, their own keys, these very bytes."""

import json
import shutil

import pytest
from ruamel.yaml import YAML

from slipway.errors import UserError, Waiting
from slipway.release import approval
from slipway.settings import Approval
from tests import release_project

DIGEST = "ab" * 32


@pytest.fixture
def people(site):
    """Ana, Ben and Cyn with keys; two of them must agree."""
    for name in ("ana", "ben", "cyn"):
        release_project.key_pair(site.root / "people" / f"{name}.key")
    approvers = {name: f"people/{name}.pub" for name in ("ana", "ben", "cyn")}
    policy = {"required": 2, "approvers": approvers}
    (site.root / "params.yaml").write_text(json.dumps(release_project.values(approval=policy)))
    site.policy = Approval(**policy)
    site.approve = lambda name, digest=DIGEST: approval.approve(
        site.root, digest, name, site.root / "people" / f"{name}.key"
    )
    return site


def test_two_of_three_agree(people):
    with pytest.raises(Waiting, match=r"0 of 2; run `slipway approve --as NAME --key FILE`") as waiting:
        approval.check(people.policy, people.root, DIGEST)
    assert waiting.value.exit_code == 3
    people.approve("ben")
    people.approve("ben")
    with pytest.raises(Waiting, match="1 of 2"):
        approval.check(people.policy, people.root, DIGEST)
    people.approve("ana")
    found = approval.check(people.policy, people.root, DIGEST)
    assert [approver.name for approver in found.approvers] == ["ana", "ben"]
    assert found.summary == "approved by ana, ben"


def test_an_approval_is_for_one_bundle(people):
    people.approve("ana")
    path = people.approve("ben")
    other = "cd" * 32
    with pytest.raises(Waiting, match="0 of 2"):
        approval.check(people.policy, people.root, other)
    shutil.copytree(path.parent, people.root / ".slipway" / "releases" / other / "approvals")
    with pytest.raises(Waiting, match=rf"0 of 2[^$]*signed for bundle {DIGEST}"):
        approval.check(people.policy, people.root, other)


def test_a_forged_or_altered_approval_does_not_count(people):
    people.approve("ana")
    path = people.approve("ben")
    shutil.copy(path, path.with_name("cyn.json"))
    path.write_text(path.read_text().replace('"payload": "ey', '"payload": "eY'))
    with pytest.raises(Waiting, match=r"1 of 2[^$]*ben\.json[^$]*cyn\.json: the signature does not fit"):
        approval.check(people.policy, people.root, DIGEST)


def test_only_the_listed_key_signs_for_a_name(people):
    with pytest.raises(UserError, match=r"ben\.key is not the private half of .*ana\.pub"):
        approval.approve(people.root, DIGEST, "ana", people.root / "people" / "ben.key")
    with pytest.raises(UserError, match="'eve' is not among"):
        approval.approve(people.root, DIGEST, "eve", people.root / "people" / "ben.key")
    with pytest.raises(UserError, match="no such private key"):
        approval.approve(people.root, DIGEST, "ana", people.root / "nothing")


def test_one_key_under_two_names_is_one_voice(people):
    policy = Approval(required=2, approvers={"ana": "people/ana.pub", "ann": "people/ana.pub"})
    with pytest.raises(UserError, match="lists 1 different"):
        approval.check(policy, people.root, DIGEST)


def test_nobody_is_said_to_be_nobody(site):
    found = approval.check(Approval(), site.root, DIGEST)
    assert (found.summary, found.approvers) == ("nobody approved", ())
    assert YAML(typ="safe").load((site.root / "params.yaml").read_text())["release"]["approval"]["required"] == 0
