"""A killed run goes on: what is finished is not computed again, and the results are the same bits."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from slipway.evaluation.scoring import Scorer
from slipway.evaluation.scoring.journal import Journal, digest

RUN = """
import json, os, signal, sys, traceback
from pathlib import Path
import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM  # here, so that the forks have it
from slipway.evaluation.scoring import Scorer, group

torch.set_num_threads(1)

def work(folder, kill):
    here = group.join()
    model = AutoModelForCausalLM.from_pretrained(folder / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    scorer = Scorer(model, tokenizer, context=64, batch_tokens=160, journal=folder / "journal")
    seen = []

    def progress(done, total):
        seen.append(done)
        if len(seen) == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    rng = np.random.default_rng(0)
    texts = [rng.integers(1, 300, size).tolist() for size in rng.integers(1, 150, 40)]
    prompts = [[0, *text[:20]] for text in texts]
    choices = [[rng.integers(1, 300, size).tolist() for size in (3, 8, 1)] for _ in texts]
    uniforms = rng.random((len(texts), 12))
    results = {
        "documents": scorer.documents(texts, 24, progress).tolist(),
        "choices": scorer.loglikelihoods(prompts, choices, progress),
        "tokens": [scores.tolist() for scores in scorer.token_scores(texts, progress)],
        "greedy": scorer.generate(prompts, 12, progress=progress),
        "drawn": scorer.generate(prompts, 12, uniforms, progress=progress),
        "next": scorer.next_scores(prompts).sum(1).tolist(),
    }
    name = f"result{here.rank}.json"
    (folder / name).write_text(json.dumps([results, scorer.batches.computed]))
    group.leave()

if len(sys.argv) == 2:
    work(Path(sys.argv[1]), 0)
for line in [] if len(sys.argv) == 2 else sys.stdin:
    folder, kill = line.split()
    if not (pid := os.fork()):
        try:
            work(Path(folder), int(kill))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Run in a process of its own, killed at progress `kill`; the exit code. Each is a fork of one that has torch."""
    script = tmp_path_factory.mktemp("script") / "run.py"
    script.write_text(RUN)
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | ENVIRONMENT,
    )  # fmt: skip

    def run(folder: Path, kill: int = 0) -> int:
        parent.stdin.write(f"{folder} {kill}\n")
        parent.stdin.flush()
        return int(parent.stdout.readline())

    yield run
    parent.communicate(timeout=60)


def result(folder: Path, rank: int = 0) -> tuple[dict, int]:
    results, computed = json.loads((folder / f"result{rank}.json").read_text())
    return results, computed


def keys(folder: Path) -> list[str]:
    """Of the batches that are whole in the journal, in order, repeated ones included."""
    found = []
    for path in sorted((folder / "journal").iterdir()):
        kept = Journal(folder / "journal")
        heads = [line.partition(b":")[0].decode() for line in path.read_bytes().split(b"\n") if line.endswith(b"]")]
        found += [head for head in heads if kept.get(head) is not None]
    return found


@pytest.fixture(scope="module")
def prepare(model, tokenizer, tmp_path_factory):
    def made() -> Path:
        folder = tmp_path_factory.mktemp("run")
        model.save_pretrained(folder / "model")
        tokenizer.save_pretrained(folder / "model")
        return folder

    return made


@pytest.fixture(scope="module")
def whole(prepare, start) -> tuple[dict, int, list[str]]:
    """An uninterrupted run: results, rows computed, batches."""
    folder = prepare()
    assert start(folder) == 0
    return *result(folder), sorted(keys(folder))


@pytest.mark.parametrize("kill", [9, 60])
def test_a_killed_run_computes_only_what_is_missing_and_the_bits_are_the_same(prepare, start, whole, kill):
    folder = prepare()
    assert start(folder, kill) == -signal.SIGKILL
    (path,) = (folder / "journal").glob("*.journal")
    # The last line is torn, as if the machine had lost it halfway.
    path.write_bytes(path.read_bytes()[:-30])
    finished = keys(folder)
    assert len(finished) == kill - 1
    assert start(folder) == 0
    results, computed = result(folder)
    assert results == whole[0]
    assert computed < whole[1]
    # Every batch was written down once: none that had finished was computed again.
    assert keys(folder)[: len(finished)] == finished
    assert sorted(keys(folder)) == whole[2]


def test_two_processes_give_the_bits_of_one(prepare, whole):
    folder = prepare()
    (folder / "run.py").write_text(RUN)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, str(folder / "run.py"), str(folder)], env=os.environ | ENVIRONMENT,
        capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (one, some), (other, rest) = result(folder, 0), result(folder, 1)
    assert one == other == whole[0]
    assert some + rest == whole[1]
    assert min(some, rest) > whole[1] // 4
    assert sorted(path.name for path in (folder / "journal").iterdir()) == ["0.journal", "1.journal"]
    assert sorted(keys(folder)) == whole[2]


def test_another_model_does_not_find_its_results_there(model, tokenizer, tmp_path):
    import copy

    scorer = Scorer(model, tokenizer, context=64, journal=tmp_path / "j")
    first = scorer.loglikelihoods([[0, 5]], [[[7, 8]]])
    same = Scorer(model, tokenizer, context=64, journal=tmp_path / "j")
    assert same.loglikelihoods([[0, 5]], [[[7, 8]]]) == first
    assert same.batches.computed == 0
    changed = copy.deepcopy(model)
    changed.model.norm.weight.data[0] += 1
    other = Scorer(changed, tokenizer, context=64, journal=tmp_path / "j")
    assert other.loglikelihoods([[0, 5]], [[[7, 8]]]) != first
    assert other.batches.computed == 1


def test_a_torn_or_altered_line_is_passed_over_and_floats_keep_their_bits(tmp_path):
    journal = Journal(tmp_path)
    values = [0.1 + 0.2, -1e-310, float(np.float32(1 / 3))]
    journal.add("a", values)
    journal.add("b", [1])
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:-4])
    again = Journal(tmp_path)
    assert again.get("a") == values
    assert again.get("b") is None
    again.add("c", [3])
    assert Journal(tmp_path).get("c") == [3]
    path.write_bytes(content.replace(b"[1]", b"[2]"))
    assert Journal(tmp_path).get("b") is None


def test_without_a_folder_nothing_is_kept(tmp_path):
    journal = Journal(None)
    journal.add("a", [1])
    assert journal.get("a") is None


def test_a_digest_tells_parts_apart():
    assert digest("a", "b") != digest("ab")
    assert digest(np.array([1.0])) != digest(np.array([1]))
    assert digest([[1], [2]]) == digest([[1], [2]])
