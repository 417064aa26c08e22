"""Faults that need a process of their own: SIGKILL, a full disk."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.files import sha256_file
from slipway.model.checkpoint import Checkpoints
from slipway.model.told import Told
from slipway.model.train import train
from tests.model.conftest import places, settings

RECIPE = settings(steps=40)
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
        # Slow enough that the last kill still meets a run that is not finished.
        work(lambda done, total, note: (os.write(writer, b"x"), time.sleep(0.02)))
        os._exit(0)
    os.close(writer)
    os.read(reader, 1)  # it has begun, or ended
    time.sleep(random.Random(kill).uniform(0, 0.1))
    os.kill(pid, signal.SIGKILL)
    print("killed", os.waitpid(pid, 0)[1], sorted(p.name for p in root.glob("work/*/*")), flush=True)
if limit:
    try:
        work(fill)
    except UserError as error:
        sys.exit(f"error: {error}")
"""


def child(root: Path, tokens: Path, kills: int = 0, limit: int = 0) -> subprocess.CompletedProcess[str]:
    values = [json.dumps(value) for value in (kills, limit, RECIPE.model_dump(mode="json"))]
    command = [sys.executable, "-c", CHILD, str(root), str(tokens), *values]
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)


def run(root: Path, tokens: Path) -> tuple[dict[str, str], list[str]]:
    """Train to the end in `root`; digests of what comes out, and what was said."""
    said: list[str] = []
    train(RECIPE, 7, places=places(root, tokens), inputs_digest="t", told=Told(say=said.append))
    return {p.name: sha256_file(p) for p in [*(root / "trained").iterdir(), root / "log.jsonl"]}, said


@pytest.fixture(scope="module")
def expected(tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return run(tmp_path_factory.mktemp("expected"), tokens)[0]


def test_killed_at_random_moments_and_resumed_gives_the_same_bytes(
    tokens: Path, tmp_path: Path, expected: dict[str, str]
) -> None:
    result = child(tmp_path, tokens, kills=6)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("killed 9 ") == 6, result.stdout
    found, said = run(tmp_path, tokens)
    assert "resumed after step" in said[-1]
    assert found == expected
    assert not list((tmp_path / "work").glob("*/.partial-*"))


def test_a_full_disk_leaves_the_last_good_checkpoint(tokens: Path, tmp_path: Path, expected: dict[str, str]) -> None:
    result = child(tmp_path, tokens, limit=10_000)
    assert result.returncode == 1
    # A checkpoint is written while training goes on, so that of step 6 may still have met the old limit.
    failed, whole = re.findall(r"of step (\d+) (?:could not be written|is whole)", result.stderr)
    assert (int(failed), int(whole)) in {(6, 4), (8, 6)}
    assert "File too large" in result.stderr
    assert "Free some disk space and run again" in result.stderr
    assert "Traceback" not in result.stderr
    (directory,) = (tmp_path / "work").iterdir()
    assert not list(directory.glob(".partial-*"))
    assert Checkpoints(tmp_path / "work", directory.name, print).steps()[-1] == int(whole)
    found, said = run(tmp_path, tokens)
    assert said == [f"resumed after step {whole} of 40"]
    assert found == expected
