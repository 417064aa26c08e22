"""The bill of materials: every digest is one of what it is said to be of, and the schema is kept."""

import copy
import json

import pytest

from slipway import recipe
from slipway.errors import Refusal
from slipway.files import combined, sha256_file
from slipway.release.bundle import bom, openness
from slipway.release.bundle.assemble import WRITTEN, assemble
from slipway.release.bundle.material import load
from slipway.release.bundle.packages import Package, record_digest, runtime
from tests.data_records import edit

BASE = {"location": "hf://owner/name", "version": "c0ffee", "licence": "MIT", "digest": "12" * 32, "files": 3,
        "bytes": 9}  # fmt: skip


def bill(folder):
    return json.loads((folder / "bom.cdx.json").read_text())


def parts(document):
    return {one["bom-ref"]: one for one in document["components"]}


def properties(component):
    return {one["name"].removeprefix("slipway:"): one["value"] for one in component["properties"]}


def test_hashes_are_of_bytes_and_digests_of_listings_are_properties(built):
    document = bill(built)
    model, found = document["metadata"]["component"], parts(document)
    weights = sha256_file(built / "model.safetensors")
    assert model["hashes"] == [{"alg": "SHA-256", "content": weights}]
    assert properties(model)["weights_sha256"] == weights
    source = found["data:pydocs/numpy"]
    assert "hashes" not in source
    assert properties(source)["files_sha256"] == "ab" * 32
    assert properties(source)["files_sha256_of"].startswith("sorted lines")
    assert found["task:quiz"]["hashes"][0]["content"] == "78" * 32
    assert source["data"] == [
        {
            "type": "dataset",
            "name": "pydocs/numpy",
            "contents": {"properties": [{"name": "slipway:location", "value": "package index"}]},
        }
    ]


def test_every_package_has_version_licence_as_stated_and_the_digest_of_its_record(built):
    libraries = [one for one in bill(built)["components"] if one["type"] == "library"]
    assert len(libraries) > 100
    for one in libraries:
        told = properties(one)
        assert len(told["record_sha256"]) == 64
        assert "RECORD" in told["record_sha256_of"]
    licences = {one["name"]: one.get("licenses") for one in libraries}
    assert licences["transformers"] == [{"license": {"id": "Apache-2.0"}}]
    assert licences["numpy"][0]["expression"].startswith("BSD-3-Clause AND")


def test_the_base_is_an_ancestor_and_a_dependency_and_the_teacher_is_only_that(project, default_values):
    values = copy.deepcopy(default_values)
    del values["train"]["architecture"]
    values["train"] |= {"start": "base"}
    values["tokenize"] |= {"origin": "base"}
    values["acquire"] |= {"base": {"path": "hf://owner/name", "licence": "MIT"}}
    edit(project, "train", lambda result: result.update(start="base"))
    edit(
        project,
        "acquire",
        lambda result: result.update(base=BASE, teacher=BASE | {"location": "models/teacher", "version": None}),
    )
    assemble(project, recipe.parse(values))
    document = bill(project / "bundle")
    (ancestor,) = document["metadata"]["component"]["pedigree"]["ancestors"]
    for one, ref in ((ancestor, "ancestor:base"), (parts(document)["base"], "base")):
        assert (one["type"], one["name"], one["version"]) == ("machine-learning-model", "hf://owner/name", "c0ffee")
        assert (one["bom-ref"], one["licenses"]) == (ref, [{"license": {"id": "MIT"}}])
        assert properties(one)["files_sha256"] == "12" * 32
    assert properties(parts(document)["teacher"])["role"] == "teacher"
    (depends,) = [one["dependsOn"] for one in document["dependencies"] if one["ref"] == "model"]
    assert {"base", "teacher", "data:pydocs/numpy", "task:quiz"} < set(depends)


def test_a_model_from_new_weights_has_no_ancestor(built):
    document = bill(built)
    assert "pedigree" not in document["metadata"]["component"]
    assert not {"base", "teacher"} & parts(document).keys()


def test_weights_in_parts_have_no_hash_of_one_file(project, default_recipe):
    files = {"model.safetensors.index.json": "aa" * 32, "model-00001-of-00001.safetensors": "bb" * 32}
    material = load(project, default_recipe)
    found = openness.openness(material, [*WRITTEN, *files])
    model = json.loads(bom.render(material, files, found))["metadata"]["component"]
    assert "hashes" not in model
    assert properties(model)["weights_sha256"] == combined(files)
    assert "parts and their index" in properties(model)["weights_sha256_of"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["components"][0].update(type="dataset"),
        lambda d: d["components"][0].update(colour="red"),
        lambda d: d["metadata"]["component"]["hashes"][0].update(content="ab"),
        lambda d: d["metadata"]["component"]["modelCard"].update(quality="good"),
        lambda d: d["components"].append(d["components"][0]),
        lambda d: d.pop("bomFormat"),
    ],
)
def test_a_faulty_bill_is_refused(built, spoil):
    document = bill(built)
    bom.validate(json.dumps(document))
    spoil(document)
    with pytest.raises(Refusal, match=r"does not keep the schema of CycloneDX 1\.6"):
        bom.validate(json.dumps(document))


RECORD = """pkg/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0
"pkg/odd, name.py",sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0
pkg-1.0.dist-info/METADATA,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0
"""
ADDED = """../../../bin/pkg,sha256=BBBBBBB8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,99
pkg/__pycache__/__init__.cpython-311.pyc,,
pkg-1.0.dist-info/INSTALLER,sha256=CCCCCCC8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,4
pkg-1.0.dist-info/REQUESTED,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0
pkg-1.0.dist-info/direct_url.json,sha256=DDDDDDD8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,60
pkg-1.0.dist-info/RECORD,,
"""


def test_the_digest_of_a_record_is_that_of_the_wheel_wherever_it_is_installed():
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    names = ("pkg/__init__.py", "pkg/odd, name.py", "pkg-1.0.dist-info/METADATA")
    assert record_digest(RECORD) == combined(dict.fromkeys(names, empty))
    assert record_digest(ADDED + RECORD) == record_digest(RECORD)
    assert record_digest(RECORD.replace("47DEQ", "57DEQ", 1)) != record_digest(RECORD)
    assert record_digest(RECORD + "\n\n") == record_digest(RECORD)
    assert record_digest(ADDED) is None


def test_a_package_whose_archive_is_known_says_its_hash(project, default_recipe, monkeypatch):
    one = Package("x", "1.0", None, "Terms of its own", False, "ef" * 32, None)
    monkeypatch.setattr(bom, "runtime", lambda _: [one])
    material = load(project, default_recipe)
    text = bom.render(material, {"model.safetensors": "aa" * 32}, openness.openness(material, WRITTEN))
    found = parts(json.loads(text))["pkg:pypi/x@1.0"]
    assert found["hashes"] == [{"alg": "SHA-256", "content": "ef" * 32}]
    assert found["licenses"] == [{"license": {"name": "Terms of its own"}}]
    assert properties(found) == {"pinned": "false"}


def test_the_packages_are_those_that_are_installed(project):
    found = {one.name: one for one in runtime(project / "constraints.txt")}
    assert found["numpy"].pinned
    assert found["certifi"].licence == "MPL-2.0"
    assert "slipway" not in found
