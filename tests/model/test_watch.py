"""A run in which something is wrong stops, names the documents, and stops at the same step after a resume."""

import math
from pathlib import Path

import numpy as np
import pytest

from slipway.errors import UserError
from slipway.model.watch import SHOWN, check
from slipway.settings import Watch
from tests.model.conftest import StopError, go, settings, write_documents

BOUNDS = Watch(window=8, spike=4.0, divergence=1.0)


def look(losses: list[float], *, norm: float = 1.0, lowest: float | None = None, documents: int = 2) -> float | None:
    names = [f"d{number}" for number in range(documents)]
    return check(BOUNDS, losses, step=9, norm=norm, saved=4, lowest=lowest, documents=lambda: names)


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (math.inf, 1.0), (2.0, math.nan), (2.0, math.inf)])
def test_numbers_that_are_none_stop_at_once(loss: float, norm: float) -> None:
    with pytest.raises(UserError, match=r"step 9: loss .*diverged \(last checkpoint: step 4\).*Documents.*d0, d1"):
        look([loss], norm=norm)


def test_a_spike_is_measured_in_deviations_and_in_nats() -> None:
    even, uneven = [2.0] * 8, [1.0, 3.0] * 4
    assert look([*even, 2.4]) == 2.0
    with pytest.raises(UserError, match=r"a spike: the mean of the last 8 steps is 2, and more than 2\.5.*d0, d1"):
        look([*even, 2.6])
    assert look([*uneven, 5.9]) == 2.0
    with pytest.raises(UserError, match="a spike"):
        look([*uneven, 6.1])


def test_before_a_window_is_full_nothing_is_judged() -> None:
    assert look([2.0] * 7 + [100.0]) is None


def test_a_mean_that_rises_for_good_is_a_divergence() -> None:
    assert look([3.0] * 9, lowest=2.0) == 2.0
    with pytest.raises(UserError, match=r"the run diverges: the mean .* is 3\.1 and was 2 .*watch\.divergence"):
        look([3.1] * 9, lowest=2.0)


def test_many_documents_are_cut_short() -> None:
    with pytest.raises(UserError, match=rf"d{SHOWN - 1} and 30 more"):
        look([math.nan], documents=SHOWN + 30)


def written(root: Path, broken: int | None) -> Path:
    """Rows that are easily learnt, one document each; one of them may be noise."""
    documents = [([(7 * n) % 50 + 1 for n in range(15)] + [0], [1] * 16) for _ in range(120)]
    if broken is not None:
        noise = np.random.default_rng(1).integers(100, 300, 15).tolist()
        documents[broken] = ([*noise, 0], [1] * 16)
    splits = {"train": documents, "validation": documents[:10]}
    return write_documents(root / "tokens", splits, row_tokens=16)


def test_a_spike_names_its_document_and_comes_again_after_a_resume(tmp_path: Path) -> None:
    tokens = written(tmp_path, 117)
    recipe = settings(batch_size=2, steps=60, validate_every=60, checkpoint_every=6, watch={"window": 8, "spike": 8.0})
    with pytest.raises(UserError, match=r"a spike") as stopped:
        go(tokens, tmp_path / "a", recipe)
    message = str(stopped.value)
    assert "train/117" in message
    step = int(message.split(":", maxsplit=1)[0].removeprefix("step "))
    for stop in (step - 1, step - 4):
        with pytest.raises(StopError):
            go(tokens, tmp_path / "b", recipe, stop_at=stop)
        with pytest.raises(UserError) as again:
            go(tokens, tmp_path / "b", recipe)
        assert str(again.value) == message
    with pytest.raises(UserError) as again:
        go(tokens, tmp_path / "a", recipe)  # the stopped run itself
    assert str(again.value) == message


def test_a_diverged_run_stops_again_at_the_same_step(tmp_path: Path) -> None:
    tokens = written(tmp_path, None)
    changes = {"optimizer": "adamw", "learning_rate": 3.0, "warmup_share": 1.0, "patience": 90}
    recipe = settings(steps=60, watch={"window": 8, "spike": 1e9, "divergence": 0.5}, **changes)
    said = []
    for _ in range(2):
        with pytest.raises(
            UserError, match=r"the run (has diverged|diverges).*Documents of this step: train/"
        ) as stopped:
            go(tokens, tmp_path, recipe)
        said.append(str(stopped.value).split(" (last checkpoint"))
    assert said[0][0] == said[1][0]  # a resumed run knows of a checkpoint that was still being written then
