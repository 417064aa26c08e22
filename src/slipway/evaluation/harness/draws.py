"""What of a harness task is drawn: the examples that it shows, and tokens of sampled generations."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np


def show_examples(task: Any, wanted: int | None) -> None:
    """As the harness does: a task that says 0 stays at 0."""
    own = task.get_config("num_fewshot")
    if wanted is not None and own != 0:
        task.set_config(key="num_fewshot", value=wanted)
    elif own is None:
        task.set_config(key="num_fewshot", value=0)


def varies(task: Any) -> bool:
    """Whether something is drawn: tokens, or which examples are shown."""
    config = task.config
    kwargs = config.generation_kwargs or {}
    draws = task.OUTPUT_TYPE == "generate_until" and (kwargs.get("do_sample") or kwargs.get("temperature", 0.0) > 0)
    sampler = getattr(config.fewshot_config, "sampler", "default")
    return bool(draws) or (bool(config.num_fewshot) and sampler != "first_n")


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Some tasks draw from the global generators; who comes after finds them as they were."""
    kept, others = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(kept)
        np.random.set_state(others)
