"""Approval: listed people, their own keys, these very bytes, and nobody for their own work."""

import json
import shutil
import subprocess

import pytest
from ruamel.yaml import YAML

from slipway.errors import Refusal, UserError, Waiting
from slipway.recipe import parse
from slipway.release.approvals import approval, authors, decisions
from slipway.release.signing import keys
from slipway.settings import Approval
from tests import gate_records, release_project

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
    site.approve = lambda name, digest=DIGEST, **more: approval.approve(
        site.root, digest, name, site.root / "people" / f"{name}.key", **more
    )
    site.line = lambda name, digest=DIGEST, decision="approve", reason="": decisions.as_line(
        decisions.sign(
            decisions.made(name, digest, decision, None, reason),
            keys.file_signer(site.root / "people" / f"{name}.key"),
        )
    )
    return site


def check(people, digest=DIGEST, policy=None, **more):
    return approval.check(policy or people.policy, people.root, digest, **more)


def test_two_of_three_agree(people):
    with pytest.raises(Waiting, match=r"0 of 2; run `slipway approve --as NAME --key FILE`") as waiting:
        check(people)
    assert waiting.value.exit_code == 3
    people.approve("ben")
    people.approve("ben")
    with pytest.raises(Waiting, match="1 of 2"):
        check(people)
    people.approve("ana")
    found = check(people)
    assert [approver.name for approver in found.approvers] == ["ana", "ben"]
    assert found.summary == "approved by ana, ben"
    public = keys.read_public(people.root / "people" / "ana.pub")
    kept = decisions.check(decisions.from_line(found.approvers[0].envelope), {"ana": public}, DIGEST, "the statement")
    assert kept.said.decision == "approve", "whoever knows Ana's key can check what stands in the statement"


def test_an_approval_is_for_one_bundle(people):
    people.approve("ana")
    path = people.approve("ben")
    other = "cd" * 32
    with pytest.raises(Waiting, match="0 of 2"):
        check(people, other)
    shutil.copytree(path.parent, people.root / ".slipway" / "releases" / other / "approvals")
    with pytest.raises(Waiting, match=rf"0 of 2[^$]*signed for bundle {DIGEST}"):
        check(people, other)


def test_a_forged_altered_or_copied_approval_does_not_count(people):
    people.approve("ana")
    path = people.approve("ben")
    shutil.copy(people.approve("ana"), path.with_name("cyn.json"))
    path.write_text(path.read_text().replace('"payload": "ey', '"payload": "eY'))
    (path.with_name("torn.json")).write_text('{"payload": "')
    with pytest.raises(Waiting, match=r"(?s)1 of 2.*ben\..*\.json: .*torn\.json: not a signed decision"):
        check(people)


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
        check(people, policy=policy)


def test_one_key_is_one_voice_among_others_and_the_second_name_is_told(people):
    approvers = {"ana": "people/ana.pub", "ann": "people/ana.pub", "cyn": "people/cyn.pub"}
    policy = Approval(required=2, approvers=approvers)
    (people.root / "params.yaml").write_text(
        json.dumps(release_project.values(approval={"required": 2, "approvers": approvers}))
    )
    people.approve("ana")
    approval.approve(people.root, DIGEST, "ann", people.root / "people" / "ana.key")
    with pytest.raises(Waiting, match=r"1 of 2(.|\n)*ann approved with the key of ana"):
        check(people, policy=policy)
    people.approve("cyn")
    assert check(people, policy=policy).summary == "approved by ana, cyn"


@pytest.mark.parametrize("required", [0, 2])
def test_a_decision_that_cannot_be_read_may_be_a_veto_and_is_not_passed_over(people, required):
    for name in ("ana", "ben"):
        people.approve(name)
    veto = people.approve("cyn", decision="reject", reason="no")
    veto.write_bytes(veto.read_bytes()[:-9])
    with pytest.raises(Refusal, match=rf"may have been a rejection(.|\n)*{veto.name}"):
        check(people, policy=people.policy.model_copy(update={"required": required}))
    veto.unlink()
    check(people)


def test_nobody_is_said_to_be_nobody(site):
    found = approval.check(Approval(), site.root, DIGEST)
    assert (found.summary, found.approvers) == ("nobody approved", ())
    assert YAML(typ="safe").load((site.root / "params.yaml").read_text())["release"]["approval"]["required"] == 0


def test_a_veto_blocks_whatever_others_say_until_it_is_taken_back(people):
    for name in ("ana", "ben"):
        people.approve(name)
    with pytest.raises(UserError, match="a rejection needs a reason"):
        people.approve("cyn", decision="reject")
    people.approve("cyn", decision="reject", reason="the card promises too much")
    with pytest.raises(Refusal, match=r"rejected by cyn: the card promises too much.*--withdraw") as refused:
        check(people)
    assert refused.value.exit_code == 1
    with pytest.raises(Refusal, match="rejected by cyn"):
        check(people, policy=people.policy.model_copy(update={"required": 0}))
    people.approve("cyn", decision="withdraw")
    assert check(people).summary == "approved by ana, ben"


def test_a_withdrawn_approval_does_not_count_and_cannot_be_put_back(people):
    people.approve("ana")
    first = people.approve("ben")
    kept = first.read_bytes()
    people.approve("ben", decision="withdraw", reason="found a fault")
    with pytest.raises(Waiting, match=r"1 of 2(.|\n)*ben withdrew the approval: found a fault"):
        check(people)
    first.with_name("zzz.json").write_bytes(kept)
    with pytest.raises(Waiting, match="1 of 2"):
        check(people)
    people.approve("ben")
    assert check(people).summary == "approved by ana, ben"


def test_a_decision_of_the_future_does_not_count(people, monkeypatch):
    people.approve("ana")
    ahead = decisions.made("ben", DIGEST, "approve", None, "").model_copy(update={"time": "2999-01-01T00:00:00+00:00"})
    signer = keys.file_signer(people.root / "people" / "ben.key")
    decisions.keep(people.root / ".slipway" / "releases" / DIGEST / "approvals", "ben", decisions.sign(ahead, signer))
    with pytest.raises(Waiting, match=r"1 of 2(.|\n)*dated 2999-01-01"):
        check(people)


def test_a_line_signed_elsewhere_is_taken_and_nothing_else_is(people):
    for typed in ("ana", "", "approved", "QUJD", "W10=", "e30=", "x" * 70_000):
        with pytest.raises(Refusal, match=r"(no|not a) signed decision"):
            approval.take(people.policy, people.root, DIGEST, typed)
    line = people.line("ana")
    with pytest.raises(Refusal, match=f"signed for bundle {DIGEST}"):
        approval.take(people.policy, people.root, "cd" * 32, line)
    forged = decisions.sign(
        decisions.made("ana", DIGEST, "approve", None, ""), keys.file_signer(people.root / "people" / "ben.key")
    )
    with pytest.raises(Refusal, match="the signature does not fit"):
        approval.take(people.policy, people.root, DIGEST, decisions.as_line(forged))
    with pytest.raises(Waiting, match="0 of 2"):
        check(people)
    folded = "\n ".join(line[start : start + 60] for start in range(0, len(line), 60))
    assert approval.take(people.policy, people.root, DIGEST, folded).approver == "ana"
    approval.take(people.policy, people.root, DIGEST, people.line("cyn"))
    assert check(people).summary == "approved by ana, cyn"


def commit(root, author, committer, message="x"):
    """A commit in a new repository, which is set up for nobody."""
    named = {
        role: dict(zip(("NAME", "EMAIL"), who, strict=True))
        for role, who in (("AUTHOR", author), ("COMMITTER", committer))
    }
    env = {f"GIT_{role}_{part}": value for role, parts in named.items() for part, value in parts.items()}
    for arguments in (["init", "-q"], ["add", "params.yaml"], ["commit", "-qm", message]):
        subprocess.run(
            ["git", *arguments], cwd=root, check=True, env={"PATH": "/usr/bin:/bin", "HOME": str(root), **env}
        )


def test_the_author_is_not_counted_where_two_must_approve(people):
    commit(people.root, ("Ana Example", "ana@example.org"), ("Ben", "b.b@example.org"))
    made = authors.of(people.root, None)
    for name in ("ana", "ben"):
        people.approve(name)
    with pytest.raises(
        Waiting, match=r"(?s)1 of 2.*ana approved but is not counted: wrote the commit.*ana@example\.org"
    ):
        check(people, authors=made, policy=Approval(**json.loads(IDENTITIES)))
    people.approve("cyn")
    found = check(people, authors=made, policy=Approval(**json.loads(IDENTITIES)))
    assert found.summary == "approved by ben, cyn"
    assert "not counted" in found.not_counted[0]
    one = people.policy.model_copy(update={"required": 1})
    assert check(people, policy=one, authors=made).summary == "approved by ana, ben, cyn"


IDENTITIES = json.dumps(
    {
        "required": 2,
        "approvers": {
            "ana": "people/ana.pub",
            "ben": {"key": "people/ben.pub", "identity": "someone.else@example.org"},
            "cyn": {"key": "people/cyn.pub", "identity": "cyn@example.org"},
        },
    }
)


def test_a_committer_and_the_holder_of_the_signing_key_are_authors_too(people):
    commit(people.root, ("Somebody", "x@example.org"), ("Cyn", "CYN@example.org"))
    made = authors.of(people.root, keys.read_public(people.root / "people" / "ben.pub"))
    with pytest.raises(UserError, match=r"(?s)ben holds the key that signs.*cyn committed what is.*1 of those listed"):
        check(people, authors=made, policy=Approval(**json.loads(IDENTITIES)))


def test_an_author_is_not_counted_under_a_second_name_either(people):
    commit(people.root, ("Ana", "ana@example.org"), ("Bot", "bot@example.org"))
    approvers = {
        "ana": "people/ana.pub",
        "ann": {"key": "people/ana.pub", "identity": "ann@elsewhere.example"},
        **{name: f"people/{name}.pub" for name in ("ben", "cyn")},
    }
    policy = {"required": 2, "approvers": approvers}
    (people.root / "params.yaml").write_text(json.dumps(release_project.values(approval=policy)))
    approval.approve(people.root, DIGEST, "ann", people.root / "people" / "ana.key")
    people.approve("ben")
    with pytest.raises(Waiting, match=r"1 of 2(.|\n)*ann approved but is not counted: has the key of ana"):
        check(people, policy=Approval(**policy), authors=authors.of(people.root, None))


def test_who_wrote_a_part_is_an_author_however_the_name_is_spelt(people):
    message = "x\n\nCo-authored-by: Zo\u0308 Example <BEN@example.org>\nCo-authored-by: Cyn <c@example.org>\n"
    commit(people.root, ("An\u2028a", "a@example.org"), ("A", "a@example.org"), message)
    made = authors.of(people.root, None)
    for name, identity in (("ben", "ben@example.org"), ("z", "Z\u00f6 Example"), ("cyn", None)):
        assert made.why(name, identity, b"") is not None
    assert made.why("cyn", "cyn@example.org", b"") is None


def test_where_git_does_not_answer_the_author_is_not_held_to_be_nobody(people, monkeypatch):
    assert authors.of(people.root, None).known == ()
    (people.root / ".git").mkdir()
    with pytest.raises(UserError, match=r"git does not say who made the commit \(fatal: not a git repository"):
        authors.of(people.root, None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="git does not say"):
        authors.of(people.root, None)


def test_what_the_approver_saw_must_be_what_the_gate_says_now(people):
    seen = gate_records.verdict(DIGEST)
    judged = approval.judgement(seen)
    for name in ("ana", "ben"):
        people.approve(name, gate=judged)
    assert check(people, judged=judged).summary == "approved by ana, ben"
    line = seen.lines[0].model_copy(update={"waived_by": "eve: never mind (until 2999-01-01)"})
    waived = seen.model_copy(update={"lines": (line, *seen.lines[1:])})
    with pytest.raises(Waiting, match=r"0 of 2(.|\n)*ana approved while the gate judged otherwise"):
        check(people, judged=approval.judgement(waived))
    figures = tuple(line.model_copy(update={"observed": "other words", "value": 1.0}) for line in seen.lines)
    assert approval.judgement(seen.model_copy(update={"lines": figures})) == judged


def test_the_recipe_takes_a_path_or_key_and_identity(values):
    values["release"]["approval"] = json.loads(IDENTITIES)
    people = parse(values, "params.yaml").release.approval.people()
    assert (people["ana"].key, people["ana"].identity) == ("people/ana.pub", None)
    assert people["cyn"].identity == "cyn@example.org"
    values["release"]["approval"]["approvers"] = {"../ana": "x"}
    with pytest.raises(UserError, match=r"release\.approval\.approvers"):
        parse(values, "params.yaml")
