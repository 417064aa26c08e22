"""From what the harness logs of every item to items of ours: value, weight, scores and pick.

A figure of ours is sum of values / sum of weights, so that two models are compared item by item. A metric of the
harness stands for a task only if that gives the very number that the harness computes: a mean over items does, bits
per byte does, an F1 over the whole does not.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.errors import UserError
from slipway.evaluation.harness.catalogue import NotRunError
from slipway.evaluation.tasks.task import prompt_digest
from slipway.files import sha256_bytes
from slipway.items import Item

Sample = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """What one call of the harness gave for one task."""

    task: Any
    samples: Sequence[Sample]
    """Of all filters."""
    results: Mapping[str, Any]
    """Figures of the harness, by `metric,filter`."""

    def of(self, filter_name: str) -> list[Sample]:
        """The samples of one filter, in order of the data."""
        found = [sample for sample in self.samples if sample["filter"] == filter_name]
        return sorted(found, key=lambda sample: int(sample["doc_id"]))

    @property
    def figures(self) -> list[tuple[str, str]]:
        """Pairs of metric and filter, those that the task names first in front."""
        listed = [entry["metric"] for entry in getattr(self.task.config, "metric_list", None) or []]
        names = [name if isinstance(name, str) else name.__name__ for name in listed]
        keys = [key.partition(",") for key in self.results if "," in key and "_stderr," not in key]
        rank = {name: place for place, name in enumerate(names)}
        return sorted(((a, b) for a, _, b in keys), key=lambda pair: rank.get(pair[0], len(rank)))

    def pairs(self, metric: str, filter_name: str) -> list[tuple[float, float]] | None:
        """Value and weight of every item; None if the harness's figure does not come of them."""
        given = [sample[metric] for sample in self.of(filter_name) if metric in sample]
        if metric == "bits_per_byte":
            found = [(-float(nats) / math.log(2), float(size)) for nats, size in given]
        elif all(isinstance(one, (bool, int, float)) or getattr(one, "ndim", None) == 0 for one in given):
            found = [(float(one), 1.0) for one in given]
        else:
            return None
        weight = sum(size for _, size in found)
        if not weight:
            return None
        value, reported = sum(one for one, _ in found) / weight, self.results[f"{metric},{filter_name}"]
        same = isinstance(reported, (int, float)) and math.isclose(value, reported, rel_tol=1e-6, abs_tol=1e-9)
        return found if same else None


def choose(asked: Sequence[Asked], wanted: str | None) -> tuple[str, str]:
    """The metric and filter that stand for a task.

    Args:
        asked: the task, or those of a group.
        wanted: what the recipe names, `metric` or `metric,filter`; None for the first that every item adds to.

    Raises:
        UserError: if the task has no such metric.
        NotRunError: if none is made of its items one by one.
    """
    known = [pair for pair in asked[0].figures if all(pair in other.figures for other in asked)]
    some = [pair for pair in known if wanted in (None, pair[0], ",".join(pair))]
    if not some:
        listed = ", ".join(dict.fromkeys(name for name, _ in known)) or "none in common"
        raise UserError(f"evaluate.harness: {wanted} is no metric of {asked[0].task.config.task}; it has {listed}")
    for metric, filter_name in some:
        if all(one.pairs(metric, filter_name) is not None for one in asked):
            return metric, filter_name
    raise NotRunError(
        f"{', '.join(name for name, _ in some)}: computed over all items at once, so models cannot be compared item by "
        "item; name another metric"
    )


def items(name: str, one: Asked, figure: tuple[str, str], *, prefix: str, seed: int | None, encode: Any) -> list[Item]:
    """A row per item that has a weight; an empty text has none. A task whose items have no right choice is not run.

    Args:
        name: of the task in the recipe.
        one: what the harness gave.
        figure: metric and filter.
        prefix: before each item's id: the name of a group's task, or nothing.
        seed: of few-shot choice and draws; None if nothing depends on it.
        encode: texts to tokens, as the model is shown them.
    """
    samples, pairs = one.of(figure[1]), one.pairs(*figure) or []
    prompts = encode([str(sample["arguments"][0][0]) for sample in samples])
    rows = []
    for sample, (value, weight), prompt in zip(samples, pairs, prompts, strict=True):
        if not weight:
            continue
        scores, right, picked = _choices(one.task, sample, figure[0])
        rows.append(
            Item(
                task=name,
                model="model",
                item=f"{prefix}{sample['doc_id']}",
                family=sample["doc_hash"],
                prompt_sha256=prompt_digest(prompt),
                value=value,
                weight=weight,
                seed=seed,
                scores=scores,
                right=right,
                picked=picked,
            )
        )
    if rows and _none_is_right(one.task, samples, rows):
        raise NotRunError("no item's `doc_to_target` is the number or the text of one of its choices")
    return rows


def _none_is_right(task: Any, samples: Sequence[Sample], rows: Sequence[Item]) -> bool:
    """Whether the harness counts all answers as wrong because it finds no right one, as with a misspelt column."""
    if task.OUTPUT_TYPE != "multiple_choice" or task.multiple_input or callable(task.config.process_results):
        return False
    return all(row.right is None for row in rows) and not any(isinstance(one["target"], list) for one in samples)


def _choices(task: Any, sample: Sample, metric: str) -> tuple[tuple[float, ...], int | None, int | None]:
    """Log-likelihoods of the choices as `metric` compares them, the right one and the picked one."""
    if task.OUTPUT_TYPE != "multiple_choice":
        return (), None, None
    choices = task.doc_to_choice(sample["doc"])
    found = [float(answers[0][0]) for answers in sample["resps"]]
    scores = found[: len(choices)]
    if metric == "acc_norm":
        if not all(choices):
            raise NotRunError(f"acc_norm: item {sample['doc_id']} has an empty choice, and no length to divide by")
        scores = [score / len(choice) for score, choice in zip(scores, choices, strict=True)]
    elif metric == "acc_mutual_info":
        scores = [score - alone for score, alone in zip(scores, found[len(choices) :], strict=True)]
    return tuple(scores), _right(sample["target"], choices), max(range(len(scores)), key=scores.__getitem__)


def _right(target: Any, choices: Sequence[str]) -> int | None:
    if isinstance(target, int):
        return target if 0 <= target < len(choices) else None
    return choices.index(target) if target in choices else None


def content(sample: Sample) -> str:
    """Digest of an item's text and answer."""
    return sha256_bytes(f"{sample['doc_hash']} {sample['target_hash']}".encode())
