"""`slipway replay` on a real release: its segments are equal, and what was doctored is refused."""

import json
import re
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from .conftest import command

pytestmark = pytest.mark.journey


def release(project: Path) -> Path:
    return project / ".slipway" / "store" / "releases" / "tiny" / "v1"


def chain(project: Path) -> list[list]:
    return json.loads((release(project) / "records" / "train.json").read_text("utf-8"))["result"]["checkpoints"]


def test_a_random_and_a_named_segment_of_a_release_are_equal(released: Path) -> None:
    steps = [step for step, _ in chain(released)]
    assert steps == [0, 10, 20, 30, 40]
    output = command(released, "slipway", "replay", "tiny", "--segment", "1")
    assert f"segment 1: steps 0 to 10: equal (sha256 {chain(released)[1][1]})" in output
    output = command(released, "slipway", "replay", str(release(released)), "--segment", "4")
    assert f"segment 4: steps 30 to 40: equal (sha256 {chain(released)[4][1]})" in output
    assert not list((released / ".slipway").glob("replay-*"))


def test_the_chain_is_in_the_signed_provenance(released: Path) -> None:
    stages = json.loads((release(released) / "provenance.json").read_text("utf-8"))["predicate"]["runDetails"]
    (stated,) = [row for row in stages["byproducts"] if row["name"] == "records/train.json"]
    assert stated["annotations"]["checkpoints"] == chain(released)


def test_a_doctored_chain_is_refused_by_the_signature(released: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(release(released), tmp_path / "copy")
    record = copy / "records" / "train.json"
    record.write_text(record.read_text("utf-8").replace(chain(released)[1][1], "ab" * 32), "utf-8")
    output = command(released, "slipway", "replay", str(copy), "--segment", "1", expect=1)
    assert re.search(r"refused: .*records/train\.json: sha256 is", output)


def test_without_its_checkpoint_it_says_what_can_be_done_and_a_store_can_have_them(released: Path, copy_of) -> None:
    project = copy_of(released)
    step, digest = chain(project)[1]
    output = command(project, "slipway", "replay", "tiny", "--segment", "2", expect=2)
    assert f"step {step} (sha256 {digest}), which is not at hand" in output
    assert re.search(r"--segment 1 or .*4", output)
    # The same project with checkpoints kept and published; then without its own.
    recipe = YAML(typ="safe").load((project / "params.yaml").read_text("utf-8"))
    recipe["train"]["keep"], recipe["release"]["checkpoints"] = {"every": 10}, True
    with (project / "params.yaml").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(recipe, stream)
    command(project, "slipway", "build", "--force", "train")
    output = command(project, "slipway", "release")
    assert "5 of 5 checkpoints in the store, 5 of them new" in output
    runs = project / ".slipway" / "checkpoints"
    assert len(list(runs.glob("*/released"))) == 1
    shutil.rmtree(runs)
    output = command(project, "slipway", "replay", "tiny", "--segment", "2")
    assert "segment 2: steps 10 to 20: equal" in output
    stored = project / ".slipway" / "store" / "checkpoints" / digest / "model.safetensors"
    stored.write_bytes(stored.read_bytes()[:-1] + b"\x01")
    output = command(project, "slipway", "replay", "tiny@v2", "--segment", "2", expect=2)
    assert "model.safetensors: differs from the checkpoint's manifest" in output


def test_other_tokens_are_named(released: Path, copy_of) -> None:
    project = copy_of(released)
    path = next((project / "data" / "tokens").glob("train-*.bin"))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-2] + b"\1\0")
    output = command(project, "slipway", "replay", "tiny", "--segment", "1", expect=2)
    assert f"data/tokens/{path.name}: here it is" in output
    assert "Traceback" not in output
