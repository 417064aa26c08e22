"""The statement: what a release was made of, stage by stage, in digests."""

import json
import subprocess

import pytest

from slipway.files import combined, sha256_bytes, sha256_file
from slipway.records import read_record
from slipway.release import materials, statement
from slipway.release.signing.keys import public_of
from tests import gate_records

LOCK = """schema: '2.0'
stages:
  train:
    cmd: python -m pipelines.train
    deps:
    - {path: data/tokens, hash: md5, md5: aa.dir, size: 1, nfiles: 1}
    - {path: pipelines/train.py, hash: md5, md5: bb, size: 1}
    - {path: src/slipway/model, hash: md5, md5: cc.dir, size: 1, nfiles: 1}
    outs:
    - {path: models/trained, hash: md5, md5: dd.dir, size: 1, nfiles: 1}
"""


@pytest.fixture
def content(site):
    """The content of a statement of the site, after a build that DVC locked."""
    (site.root / "dvc.lock").write_text(LOCK)
    for name in ("bom.cdx.json", "provenance.json"):
        (site.root / "bundle" / name).write_text("{}")
    identity = statement.Identity(name="tiny", version="v1", sequence=1, predecessor=None, manifest_sha256="bb" * 32)
    data = statement.write(
        site.root, identity, site.signer, created="2026-01-01T00:00:00+00:00",
        gate=gate_records.verdict(identity.manifest_sha256), approvals={"summary": "nobody approved"},
    )  # fmt: skip
    return statement.read(data, public_of(site.signer))[1]


def named(rows, name):
    (found,) = [row for row in rows if row["name"] == name]
    return found


def test_locks_data_and_base_are_named_by_digest(site, content):
    rows = content["predicate"]["buildDefinition"]["resolvedDependencies"]
    for name in ("params.yaml", "inputs.lock", "dvc.yaml", "dvc.lock"):
        assert named(rows, name)["digest"]["sha256"] == sha256_file(site.root / name)
    acquired = read_record(site.root / "reports" / "acquire.json").result
    for source in acquired["sources"]:
        row = named(rows, source["source"])
        assert row["digest"]["sha256"] == source["digest"]
        assert row["annotations"]["kind"] == "data"
    if acquired["base"]:
        assert named(rows, acquired["base"]["location"])["digest"]["sha256"] == acquired["base"]["digest"]


def test_every_stage_says_command_code_and_what_it_read_and_wrote(site, content):
    rows = content["predicate"]["runDetails"]["byproducts"]
    record = read_record(site.root / "reports" / "train.json")
    row = named(rows, "reports/train.json")
    notes, code = row["annotations"], {"pipelines/train.py": "bb", "src/slipway/model": "cc.dir"}
    assert row["digest"]["sha256"] == sha256_file(site.root / "reports" / "train.json")
    assert notes["command"] == "python -m pipelines.train"
    assert notes["code"] == {"files": code, "sha256": combined(code)}
    assert notes["dvc"] == {"models/trained": "dd.dir"}
    assert notes["inputs"] == {"files": len(record.inputs), "sha256": combined(record.inputs)}
    stages = {r["annotations"]["stage"] for r in rows if r["name"].startswith("reports/")}
    assert {"acquire", "prepare", "train", "evaluate", "safety", "bundle", "scan"} <= stages


def test_bill_of_materials_provenance_and_checkpoints_are_named(site, content):
    rows = content["predicate"]["runDetails"]["byproducts"]
    for name in ("bom.cdx.json", "provenance.json", "recipe.json"):
        assert named(rows, name)["digest"]["sha256"] == sha256_file(site.root / "bundle" / name)
    chain = read_record(site.root / "reports" / "train.json").result["checkpoints"]
    row = named(rows, "checkpoint chain")
    assert row["digest"]["sha256"] == sha256_bytes(json.dumps(chain, separators=(",", ":")).encode())
    assert row["annotations"]["last"] == list(chain[-1])


def test_it_is_slsa_provenance(content):
    """By the schemas of in-toto, whatever the annotations hold."""
    from google.protobuf.json_format import ParseDict
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance

    ParseDict(content["predicate"], Provenance())


def git(root, *arguments):
    who = ("-c", "user.name=t", "-c", "user.email=t@t")
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


def test_commit_changes_and_a_public_address(site):
    assert materials.git_state(site.root)["commit"] is None
    git(site.root, "init", "-q")
    git(site.root, "add", "params.yaml")
    git(site.root, "commit", "-qm", "start")
    git(site.root, "remote", "add", "origin", "https://someone:secret@github.com/example/model.git")
    found = materials.git_state(site.root)
    assert (found["dirty"], found["changed"]) == (False, [])
    assert found["uri"] == "git+https://github.com/example/model.git"
    (site.root / "params.yaml").write_text("{}")
    assert materials.git_state(site.root)["changed"] == ["params.yaml"]
    row = named(materials.resolved(site.root), "git")
    assert row["uri"] == f"git+https://github.com/example/model.git@{found['commit']}"
    assert "secret" not in json.dumps(row)


@pytest.mark.parametrize(("address", "told"), [
    ("git@github.com:example/model.git", "git+https://github.com/example/model.git"),
    ("ssh://git@gitlab.com/example/model", "git+https://gitlab.com/example/model"),
    ("https://git.intern.example/model.git", None), ("/srv/git/model.git", None), ("", None),
    ("file:///srv/model", None), ("http://github.com/example/model", None),
])  # fmt: skip
def test_an_address_that_may_be_private_is_not_told(address, told):
    assert materials._public(address) == told
