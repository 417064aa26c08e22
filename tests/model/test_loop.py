"""Training: it learns, stops early, and a resumed run equals a straight one bit for bit."""

import json
import math
from pathlib import Path

import pytest
import torch

from slipway.errors import UserError
from slipway.files import sha256_file
from slipway.model.load import load
from slipway.model.told import Told
from slipway.model.train import train
from slipway.records import TrainReport
from slipway.settings import Train
from tests.model.conftest import ARCHITECTURE, places, settings, write_tokens


class StopError(Exception):
    """Stands for the end of the process."""


def go(tokens: Path, root: Path, recipe: Train, stop_at: int | None = None, **extra: object) -> TrainReport:
    def progress(done: int, _total: int, _note: str) -> None:
        if done == stop_at:
            raise StopError

    told = Told(progress=progress, **{name: extra.pop(name) for name in ("log", "say") if name in extra})
    report = train(recipe, 7, places=places(root, tokens), inputs_digest="t", told=told, **extra)
    assert report is not None
    return report


def outcome(root: Path) -> dict[str, str]:
    files = [*(root / "trained").iterdir(), root / "log.jsonl"]
    return {path.name: sha256_file(path) for path in files}


@pytest.fixture(scope="module")
def whole(tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainReport]:
    root = tmp_path_factory.mktemp("whole")
    return root, go(tokens, root, settings())


def test_it_learns_and_says_what_it_did(whole: tuple[Path, TrainReport]) -> None:
    root, report = whole
    assert report.validation_loss < 0.9 * math.log(300)
    assert (report.steps, report.tokens_seen, report.stopped_early) == (24, 24 * 4 * 16, False)
    assert report.validation_bits_per_byte == pytest.approx(report.validation_loss / math.log(2) / 3)
    assert report.weights_sha256 == sha256_file(root / "trained" / "model.safetensors")
    assert [step for step, _ in report.checkpoints] == sorted({step for step, _ in report.checkpoints})
    assert TrainReport.model_validate_json(report.to_json()) == report


def test_the_log_is_complete_and_holds_no_times(whole: tuple[Path, TrainReport]) -> None:
    root, report = whole
    lines = [json.loads(line) for line in (root / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 25))
    assert set(lines[0]) == {"step", "tokens", "loss", "learning_rate", "grad_norm", "validation_loss"}
    validated = {line["step"]: line["validation_loss"] for line in lines if line["validation_loss"] is not None}
    assert sorted(validated) == [6, 12, 18, 24]
    assert validated[report.best_step] == report.validation_loss == min(validated.values())


def test_a_second_run_is_equal_byte_for_byte(tokens: Path, tmp_path: Path, whole: tuple[Path, TrainReport]) -> None:
    assert go(tokens, tmp_path, settings()) == whole[1]
    assert outcome(tmp_path) == outcome(whole[0])


@pytest.mark.parametrize("stop_at", [1, 4, 9, 12, 24])
def test_stopped_and_resumed_equals_uninterrupted(
    tokens: Path, tmp_path: Path, whole: tuple[Path, TrainReport], stop_at: int
) -> None:
    with pytest.raises(StopError):
        go(tokens, tmp_path, settings(), stop_at)
    said: list[str] = []
    assert go(tokens, tmp_path, settings(), say=said.append) == whole[1]
    assert outcome(tmp_path) == outcome(whole[0])
    resumed = max(step for step, _ in ((0, ""), *whole[1].checkpoints) if step <= stop_at)
    assert said == [f"resumed after step {resumed} of 24"]


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adamw", "schedule": "cosine", "floor_share": 0.1},
        {"architecture": ARCHITECTURE | {"attention_dropout": 0.2}},
    ],
)
def test_resuming_is_exact_for_other_optimisers_and_with_dropout(
    tokens: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    recipe = settings(steps=12, **changes)
    expected = go(tokens, tmp_path / "a", recipe)
    with pytest.raises(StopError):
        go(tokens, tmp_path / "b", recipe, stop_at=7)
    assert go(tokens, tmp_path / "b", recipe) == expected


def test_a_damaged_newest_checkpoint_is_passed_over(
    tokens: Path, tmp_path: Path, whole: tuple[Path, TrainReport]
) -> None:
    with pytest.raises(StopError):
        go(tokens, tmp_path, settings(), stop_at=13)
    newest = max((tmp_path / "work").glob("*/step-*")) / "optimiser.safetensors"
    damaged = bytearray(newest.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    newest.write_bytes(damaged)
    said: list[str] = []
    assert go(tokens, tmp_path, settings(), say=said.append) == whole[1]
    assert outcome(tmp_path) == outcome(whole[0])
    assert said == [
        "checkpoint passed over: step-000012/optimiser.safetensors differs from its manifest",
        "resumed after step 8 of 24",
    ]


def test_another_recipe_does_not_resume_and_its_checkpoints_go_last(tokens: Path, tmp_path: Path) -> None:
    with pytest.raises(StopError):
        go(tokens, tmp_path, settings(), stop_at=9)
    with pytest.raises(StopError):
        go(tokens, tmp_path, settings(steps=12), stop_at=9)
    assert len(list((tmp_path / "work").iterdir())) == 2
    said: list[str] = []
    go(tokens, tmp_path, settings(steps=12), say=said.append)
    assert said == ["resumed after step 8 of 12"]
    assert len(list((tmp_path / "work").iterdir())) == 1


def test_a_finished_run_is_taken_from_its_last_checkpoint_unless_asked_afresh(tokens: Path, tmp_path: Path) -> None:
    first, files = go(tokens, tmp_path, settings(steps=6)), outcome(tmp_path)
    for fresh, expected in ((False, ["resumed after step 6 of 6"]), (True, [])):
        said: list[str] = []
        assert go(tokens, tmp_path, settings(steps=6), say=said.append, fresh=fresh) == first
        assert said == expected
        assert outcome(tmp_path) == files


def test_two_newest_and_the_best_are_kept(tokens: Path, tmp_path: Path) -> None:
    # A rate of almost nothing after the first validations cannot be had; a huge one makes later ones worse.
    report = go(tokens, tmp_path, settings(learning_rate=3.0, matrix_learning_rate=3.0, warmup_share=1.0, steps=30))
    steps = {int(path.name[5:]) for path in (tmp_path / "work").glob("*/step-*")}
    assert steps == {report.best_step, 28, 30}
    assert report.best_step < 28


def test_it_stops_early_and_releases_the_best(tokens: Path, tmp_path: Path) -> None:
    recipe = settings(learning_rate=3.0, matrix_learning_rate=3.0, warmup_share=1.0, steps=60, patience=2)
    report = go(tokens, tmp_path, recipe)
    assert report.stopped_early
    assert report.steps == report.best_step + 2 * recipe.validate_every
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert report.validation_loss == next(line["validation_loss"] for line in lines if line["step"] == report.best_step)


def test_a_diverged_run_names_the_step(tokens: Path, tmp_path: Path) -> None:
    recipe = settings(optimizer="adamw", learning_rate=1e30, warmup_share=0.0)
    with pytest.raises(UserError, match=r"step \d+: loss (nan|inf|.*norm (nan|inf)).*Lower train.learning_rate"):
        go(tokens, tmp_path, recipe)


def test_the_log_receives_the_speed_but_the_report_does_not(tokens: Path, tmp_path: Path) -> None:
    got: list[tuple[int, dict[str, float]]] = []
    report = go(tokens, tmp_path, settings(steps=6), log=lambda step, values: got.append((step, values)))
    assert [step for step, _ in got] == [1, 2, 3, 4, 5, 6]
    assert all(values["tokens_per_second"] > 0 for _, values in got)
    assert "second" not in report.to_json()


def test_the_released_model_is_the_one_that_was_measured(tokens: Path, whole: tuple[Path, TrainReport]) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(whole[0] / "trained", local_files_only=True)
    assert model.config.use_cache
    assert model.generation_config.eos_token_id == 0
    assert {path.stat().st_mode & 0o777 for path in (whole[0] / "trained").iterdir()} == {0o644}
    from slipway.model.data import Tokens

    rows = Tokens(tokens, "validation", 16, 7).sample(10**6).rows
    with torch.inference_mode():
        logits = model(input_ids=rows[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
    assert loss.item() == pytest.approx(whole[1].validation_loss, rel=1e-5)


def test_too_little_data_is_said_before_the_first_step(tmp_path: Path) -> None:
    write_tokens(tmp_path / "tokens", train=20)
    with pytest.raises(UserError, match="train holds 20 tokens"):
        go(tmp_path / "tokens", tmp_path, settings())


def test_no_pickle_is_written(tokens: Path, tmp_path: Path) -> None:
    go(tokens, tmp_path, settings(steps=6))
    found = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert found <= {".safetensors", ".json", ".jsonl", ""}


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda d: (d / "config.json").unlink(), "no config.json"),
        (lambda d: (d / "model.safetensors").rename(d / "pytorch_model.bin"), "no safetensors"),
        (lambda d: (d / "config.json").write_text('{"auto_map": {"AutoModel": "x.Y"}}'), "auto_map"),
    ],
)
def test_a_directory_that_needs_foreign_code_is_refused(
    tmp_path: Path, whole: tuple[Path, TrainReport], prepare: object, message: str
) -> None:
    import shutil

    shutil.copytree(whole[0] / "trained", tmp_path / "m")
    prepare(tmp_path / "m")
    with pytest.raises(UserError, match=message):
        load(tmp_path / "m")
