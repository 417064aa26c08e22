"""The model as GGUF in a bundle: made by the stage, listed, named in the card, equal when rebuilt, and scanned."""

import copy
import json
from functools import partial

import pytest
import yaml

from pipelines import bundle as stage
from pipelines.frame import Frame
from slipway import recipe
from slipway.errors import UserError
from slipway.files import digests, sha256_file
from slipway.model.gguf import export
from slipway.release.bundle.assemble import assemble
from slipway.scan.verdict import scan


@pytest.fixture
def values(default_values, project):
    """A recipe that asks for two types, as the project's own."""
    found = copy.deepcopy(default_values)
    found["bundle"]["gguf"] = ["f16", "bf16"]
    (project / "params.yaml").write_text(yaml.safe_dump(found))
    return found


def test_the_stage_makes_what_the_recipe_asks_for(project, values):
    report = stage.main(Frame("bundle", project))
    out = project / "bundle"
    names = [f"{values['name']}-F16.gguf", f"{values['name']}-BF16.gguf"]
    manifest = json.loads((out / "manifest.json").read_text())["files"]
    provenance = json.loads((out / "provenance.json").read_text())
    subjects = {one["name"]: one["digest"]["sha256"] for one in provenance["subject"]}
    card = (out / "README.md").read_text()
    for name in names:
        assert manifest[name]["sha256"] == subjects[name] == sha256_file(out / name)
        assert f"`{name}`" in card
    assert f"llama-completion -m path/to/this/directory/{names[0]} " in card
    found = scan(out, 1 << 24, report.bundle_digest)
    assert found.passed, found.findings
    before = digests(out, out)
    stage.main(Frame("bundle", project))
    assert digests(out, out) == before


def test_a_changed_file_is_found_by_the_scan(project, values):
    stage.main(Frame("bundle", project))
    path = project / "bundle" / f"{values['name']}-F16.gguf"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "gguf.value" in {finding.rule for finding in scan(project / "bundle", 1 << 24).findings}


def test_a_type_that_does_not_fit_the_model_ends_the_stage(project, values):
    values["bundle"]["gguf"] = ["q8_0"]
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match="stores 32 at a time; choose another type"):
        stage.main(Frame("bundle", project))


def test_a_type_that_is_not_known_is_an_error_of_the_recipe(values):
    values["bundle"]["gguf"] = ["q4_k_m"]
    with pytest.raises(UserError, match=r"bundle\.gguf"):
        recipe.parse(values)


def test_without_a_type_nothing_is_made_or_said(built):
    assert not list(built.glob("*.gguf"))
    assert "gguf" not in (built / "README.md").read_text().lower()


def test_a_file_of_the_models_own_is_not_overwritten(project, default_recipe):
    with pytest.raises(UserError, match="holds a file of this name"):
        assemble(project, default_recipe, exports={"config.json": partial(export, kind="f32")})
