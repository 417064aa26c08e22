"""Several processes through torchrun: the same loss curve as one, other numbers of ranks, a rank that is killed.

Stated tolerance: with float32 on processors, the validation loss of 2 and 4 ranks differs from that of one process by
less than 1e-5 of its value after 24 steps. Equal numbers of ranks give equal bits.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from slipway.model.ranks import ENVIRONMENT
from tests.model.conftest import ARCHITECTURE, settings, write_base, write_tokens

pytestmark = pytest.mark.journey

RANK = """
import json, os, resource, signal, sys
from pathlib import Path
from slipway.model import ranks
from slipway.model.told import Places, Told
from slipway.model.train import train
from slipway.settings import Train

root, tokens, stop, values = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
places = Places(tokens, root / "base", root / "teacher", root / "work", root / "ledger", root / "trained",
                root / "log.jsonl")

def progress(done, total, note):
    # The last rank dies, not the one that reports.
    if done == abs(stop) and not ranks.restarted():
        if stop == -6:  # from here on the disk is full
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        elif stop < 0:
            os._exit(9)
        elif int(os.environ["RANK"]) == int(os.environ["WORLD_SIZE"]) - 1:
            os.kill(os.getpid(), signal.SIGKILL)

def say(text):
    if ranks.first():
        print(text, flush=True)

def body():
    return train(Train(**values), 7, places=places, inputs_digest="t", told=Told(progress=progress, say=say))

root.joinpath("work").mkdir(exist_ok=True)
ranks.serve(body, root)
"""


def job(root: Path, tokens: Path, count: int, stop: int = 0, restarts: int = 2, **changes: object) -> tuple[int, str]:
    """Train in `root` with `count` processes; exit code and output."""
    recipe = settings(devices={"kind": "cpu", "count": count}, micro_batch_size=1, average=0.9, **changes)
    script = root.parent / "rank.py"
    script.write_text(RANK)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    launcher = [*torchrun, "--max-restarts", str(restarts)] if count > 1 else []
    values = json.dumps(recipe.model_dump(mode="json"))
    done = subprocess.run(
        [sys.executable, *launcher, str(script), str(root), str(tokens), str(stop), values],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        env=os.environ | ENVIRONMENT | {"OMP_WAIT_POLICY": "PASSIVE", "RANK": "0", "WORLD_SIZE": "1"},
        check=False,
    )
    return done.returncode, done.stdout


def report(root: Path) -> dict:
    return json.loads((root / "report.json").read_text())


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokens(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def runs(tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Uninterrupted runs on 1, 2 and 4 processes."""
    found = {}
    for count in (1, 2, 4):
        found[count] = tmp_path_factory.mktemp(f"run{count}") / "p"
        found[count].mkdir()
        code, output = job(found[count], tokens, count)
        assert code == 0, output
    return found


def curve(root: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (root / "log.jsonl").read_text().splitlines()]


def test_several_ranks_follow_the_curve_of_one_process(runs: dict[int, Path]) -> None:
    expected = report(runs[1])
    for count in (2, 4):
        found = report(runs[count])
        assert (found["world_size"], found["steps"]) == (count, 24)
        assert found["validation_loss"] == pytest.approx(expected["validation_loss"], rel=1e-5)
        assert curve(runs[count]) == pytest.approx(curve(runs[1]), rel=1e-4)
        assert (found["tokens_seen"], found["tokens_learnt"]) == (expected["tokens_seen"], expected["tokens_learnt"])


def test_the_released_model_of_ranks_is_one_whole_model(runs: dict[int, Path]) -> None:
    import torch
    from safetensors.torch import load_file

    one, two = (load_file(runs[count] / "trained" / "model.safetensors") for count in (1, 2))
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=1e-4)


def test_a_killed_rank_restarts_the_job_and_the_bits_are_the_same(
    runs: dict[int, Path], tokens: Path, tmp_path: Path
) -> None:
    (tmp_path / "p").mkdir()
    code, output = job(tmp_path / "p", tokens, 2, stop=14)
    assert code == 0, output
    assert "resumed after step 12 of 24" in output
    found, expected = report(tmp_path / "p"), report(runs[2])
    assert found["weights_sha256"] == expected["weights_sha256"]
    assert found["checkpoints"] == expected["checkpoints"]


@pytest.fixture(scope="module")
def stopped(tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two ranks that ended at step 14, its last checkpoint that of step 12; tests copy it."""
    root = tmp_path_factory.mktemp("stopped") / "p"
    root.mkdir()
    assert job(root, tokens, 2, stop=-14, restarts=0)[0] != 0
    return root


@pytest.mark.parametrize("after", [4, 1])
def test_a_run_goes_on_with_another_number_of_ranks(
    runs: dict[int, Path], stopped: Path, tokens: Path, tmp_path: Path, after: int
) -> None:
    shutil.copytree(stopped, tmp_path / "p")
    code, output = job(tmp_path / "p", tokens, after)
    assert code == 0, output
    assert "resumed after step 12 of 24" in output
    found = report(tmp_path / "p")
    assert found["world_size"] == after
    assert found["validation_loss"] == pytest.approx(report(runs[1])["validation_loss"], rel=1e-5)


def test_a_damaged_file_of_one_rank_is_noticed(
    runs: dict[int, Path], stopped: Path, tokens: Path, tmp_path: Path
) -> None:
    shutil.copytree(stopped, tmp_path / "p")
    (part,) = (tmp_path / "p").glob("work/*/step-000012/shard-00002-*.safetensors")
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)
    code, output = job(tmp_path / "p", tokens, 2)
    assert code == 0, output
    assert "checkpoint passed over: step-000012/shard-00002" in output
    assert "resumed after step 8 of 24" in output
    assert report(tmp_path / "p")["weights_sha256"] == report(runs[2])["weights_sha256"]


def test_adapters_of_two_ranks_merge_into_one_model(tokens: Path, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    write_base(tmp_path / "p" / "base")
    changes = {"architecture": None, "start": "base", "adapter": {"rank": 4, "alpha": 8.0}, "optimizer": "adamw"}
    code, output = job(tmp_path / "p", tokens, 2, **changes)
    assert code == 0, output
    found = report(tmp_path / "p")
    assert found["trained_parameters"] < found["parameters"] / 2
    assert found["merge_error"] < 1e-4
    from safetensors.torch import load_file

    before, after = (load_file(tmp_path / "p" / name / "model.safetensors") for name in ("base", "trained"))
    assert before.keys() == after.keys()
    assert not before["model.layers.0.mlp.up_proj.weight"].equal(after["model.layers.0.mlp.up_proj.weight"])


def test_ranks_without_answers_and_averages_between_checkpoints_change_nothing(tmp_path: Path) -> None:
    """An untied head that some micro-batches do not use, and validations that are neither best nor saved."""
    masked = write_tokens(tmp_path / "tokens")
    for split, count in (("train", 3000), ("validation", 600)):
        (np.arange(count) // 40 % 3 == 0).astype(np.uint8).tofile(masked / f"{split}-00000.mask.bin")
    index = json.loads((masked / "index.json").read_text())
    for split in index["splits"].values():
        for entry in (split, *split["shards"]):
            entry["learnt"] //= 3
        split["shards"][0]["masked"] = True
    (masked / "index.json").write_text(json.dumps(index))
    architecture = ARCHITECTURE | {"tie_word_embeddings": False}
    changes = {
        "architecture": architecture,
        "validate_every": 1,
        "checkpoint_every": 24,
        "steps": 8,
        "learning_rate": 0.1,
    }
    for count in (1, 2):
        (tmp_path / str(count)).mkdir()
        code, output = job(tmp_path / str(count), masked, count, **changes)
        assert code == 0, output
    assert len(report(tmp_path / "1")["checkpoints"]) < 9  # some validation was not the best
    assert curve(tmp_path / "2") == pytest.approx(curve(tmp_path / "1"), rel=1e-4)


def test_a_full_disk_is_told_once_and_the_last_good_checkpoint_stays(
    runs: dict[int, Path], tokens: Path, tmp_path: Path
) -> None:
    (tmp_path / "p").mkdir()
    code, output = job(tmp_path / "p", tokens, 2, stop=-6)
    assert (tmp_path / "p" / "failure.txt").is_file(), output
    kind, _, text = (tmp_path / "p" / "failure.txt").read_text().partition("\n")
    assert kind == "UserError"
    assert "could not be written" in text
    assert "Free some disk space and run again" in text
    assert not list((tmp_path / "p").glob("work/*/.partial-*"))
    (tmp_path / "p" / "failure.txt").unlink()
    code, output = job(tmp_path / "p", tokens, 2)
    assert code == 0, output
    assert "resumed after step" in output
    assert report(tmp_path / "p")["weights_sha256"] == report(runs[2])["weights_sha256"]
