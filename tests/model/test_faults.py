"""Faults that need a process of their own: SIGKILL, a full disk."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from slipway.files import sha256_file
from slipway.model.checkpoint import Checkpoints
from slipway.model.told import Told
from slipway.model.train import train
from slipway.settings import Train
from tests.model.conftest import ARCHITECTURE, places, settings

RECIPE = settings(steps=40)
LARGE = settings(
    architecture=ARCHITECTURE | {"hidden_size": 64, "intermediate_size": 1024},
    steps=90,
    validate_every=20,
    checkpoint_every=2,
)
"""Writing a checkpoint takes about as long as a step."""
KILLS = 20
CHILD = """
import json, os, random, resource, signal, sys, time
from pathlib import Path
from transformers import LlamaForCausalLM  # here, so that the forks have it
from slipway.errors import UserError
from slipway.model.told import Places, Told
from slipway.model.train import train
from slipway.settings import Train

root, tokens, kills, limit, values = Path(sys.argv[1]), Path(sys.argv[2]), *map(json.loads, sys.argv[3:])

def work(progress):
    places = Places(tokens, root / "base", root / "teacher", root / "work", root / "ledger", root / "trained",
                    root / "log.jsonl")
    train(Train(**values), 7, places=places, inputs_digest="t", told=Told(progress=progress, say=print))

def fill(done, total, note):
    if done == 6:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

for kill in range(kills):
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        work(lambda done, total, note: os.write(writer, b"x"))
        os._exit(0)
    os.close(writer)
    chance = random.Random(kill)
    if kill % 4 == 3:
        time.sleep(chance.uniform(0, 0.5))  # before its first step
    else:
        for _ in range(chance.randint(1, 4)):
            os.read(reader, 1)  # a step was done; a checkpoint may be in the making
        time.sleep(chance.uniform(0, 0.02))
    os.close(reader)
    os.kill(pid, signal.SIGKILL)
    print("killed", os.waitpid(pid, 0)[1], sorted(p.name for p in root.glob("work/*/*")), flush=True)
if limit:
    try:
        work(fill)
    except UserError as error:
        sys.exit(f"error: {error}")
"""


def child(root: Path, tokens: Path, recipe: Train, kills: int = 0, limit: int = 0) -> subprocess.CompletedProcess[str]:
    values = [json.dumps(value) for value in (kills, limit, recipe.model_dump(mode="json"))]
    command = [sys.executable, "-c", CHILD, str(root), str(tokens), *values]
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)


def run(root: Path, tokens: Path, recipe: Train) -> tuple[dict[str, str], list[str]]:
    """Train to the end in `root`; digests of what comes out, and what was said."""
    said: list[str] = []
    train(recipe, 7, places=places(root, tokens), inputs_digest="t", told=Told(say=said.append))
    return {p.name: sha256_file(p) for p in [*(root / "trained").iterdir(), root / "log.jsonl"]}, said


def test_killed_at_random_moments_and_resumed_gives_the_same_bytes(tokens: Path, tmp_path: Path) -> None:
    expected, _ = run(tmp_path / "straight", tokens, LARGE)
    root = tmp_path / "killed"
    result = child(root, tokens, LARGE, kills=KILLS)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("killed 9 ") == KILLS, result.stdout
    assert ".partial-" in result.stdout, result.stdout  # some were inside a write
    found, said = run(root, tokens, LARGE)
    assert "resumed after step" in said[-1]
    assert found == expected
    assert not list((root / "work").glob("*/.*"))


def test_a_full_disk_leaves_the_last_good_checkpoint(tokens: Path, tmp_path: Path) -> None:
    expected, _ = run(tmp_path / "straight", tokens, RECIPE)
    root = tmp_path / "full"
    result = child(root, tokens, RECIPE, limit=10_000)
    assert result.returncode == 1
    # A checkpoint is written while training goes on, so that of step 6 may still have met the old limit.
    failed, whole = re.findall(r"of step (\d+) (?:could not be written|is whole)", result.stderr)
    assert (int(failed), int(whole)) in {(6, 4), (8, 6)}
    assert "File too large" in result.stderr
    assert "Free some disk space and run again" in result.stderr
    assert "Traceback" not in result.stderr
    (directory,) = (root / "work").iterdir()
    assert not list(directory.glob(".partial-*"))
    assert Checkpoints(root / "work", directory.name, print).steps()[-1] == int(whole)
    found, said = run(root, tokens, RECIPE)
    assert said == [f"resumed after step {whole} of 40"]
    assert found == expected
