"""Two item tables side by side: the same items, asked in the same way, as arrays that can be compared.

An item that was asked with several seeds has a row for each; they are averaged before anything is paired, because
more seeds are no more items. What cannot be paired is said in words, and is never a number.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


class Unfit(Exception):
    """Two results that cannot be compared, or one that is no result."""

    def __init__(self, words: str, action: str, *, ours: bool = False) -> None:
        """`ours`: the fault is in the model that is judged, so it is no lack of evidence."""
        super().__init__(words)
        self.action, self.ours = action, ours


@dataclass(frozen=True)
class Paired:
    """Items that both models answered, sorted by id; arrays of shape (items,)."""

    ours: np.ndarray
    theirs: np.ndarray
    weights: np.ndarray
    families: tuple[str, ...]
    left_out: int = 0
    """Items that only the judged model answered."""


def pair(
    ours: "pa.Table",
    theirs: "pa.Table",
    task: str,
    *,
    against: str,
    same_prompts: bool = True,
    may_lack: float = 0.0,
) -> Paired:
    """The rows `model` of `ours` beside those of `theirs` for one task.

    Args:
        ours: item table of the model that is judged.
        theirs: item table of the champion, or once more `ours` where it is judged beside its base.
        task: name of the task.
        against: `base` or `champion`; the rows of `theirs` are those of the base, or of the model that it was.
        same_prompts: whether an item that was asked in other words is another item.
        may_lack: share of the model's items that the other may lack; they are left out, and counted.

    Raises:
        Unfit: if they cannot be paired, item by item, with nothing left over.
    """
    own, other = _rows(ours, task, "model", "the model"), _rows(theirs, task, _of(against), f"the {against}")
    if own.empty:
        raise Unfit(f"no item of {task} in the model's table", "run `slipway build`", ours=True)
    if other.empty:
        raise Unfit(f"no item of {task} in the table of the {against}", f"evaluate the {against} on {task}")
    apart = "both must be asked the same: evaluate them with one recipe and one version of Slipway"
    lacking = sorted(set(own.index) ^ set(other.index))
    if set(other.index) - set(own.index) or len(lacking) > may_lack * len(own):
        common = len(set(own.index) & set(other.index))
        raise Unfit(f"not comparable: {_some(lacking)} on one side only, {common} on both", apart)
    own = own.loc[other.index]
    if same_prompts and (changed := list(own.index[own["prompts"] != other["prompts"]])):
        raise Unfit(f"not comparable: another prompt for {_some(changed)}", apart)
    if heavier := list(own.index[~np.isclose(own["weight"], other["weight"], rtol=1e-9, atol=0)]):
        raise Unfit(f"not comparable: another weight for {_some(heavier)}", apart)
    if own["weight"].sum() <= 0:
        raise Unfit(f"the items of {task} weigh nothing", "see the task's data: nothing in it can be scored", ours=True)
    values, others, weights = (column.to_numpy() for column in (own["value"], other["value"], own["weight"]))
    return Paired(values, others, weights, tuple(own["family"]), len(lacking))


def _of(against: str) -> str:
    return "base" if against == "base" else "model"


def _rows(table: "pa.Table", task: str, model: str, who: str) -> Any:
    """One row per item, sorted by id: mean value and weight over seeds, the prompts, the family."""
    import pyarrow.compute as pc

    mine = table.filter(pc.and_(pc.equal(table["task"], task), pc.equal(table["model"], model)))
    names = ["item", "family", "prompt_sha256", "value", "weight", "seed"]
    rows = mine.select(names).to_pandas()
    ours = who == "the model"
    twice = rows[rows.duplicated(["item", "seed"])]
    if len(twice):
        raise Unfit(f"{who} has {_some(twice['item'])} twice", "run `slipway build --force evaluate`", ours=ours)
    broken = rows[~(np.isfinite(rows["value"]) & np.isfinite(rows["weight"]))]
    if len(broken):
        action = f"{who} gives no finite likelihood there; look at its weights (NaN or infinite) before anything else"
        raise Unfit(f"{who} has no number for {_some(broken['item'].unique())}", action, ours=ours)
    rows = rows.rename(columns={"prompt_sha256": "prompts"}).sort_values("item").set_index("item")
    if rows.index.is_unique:
        return rows
    grouped = rows.groupby(level="item", sort=True)
    found = grouped.agg({"value": "mean", "weight": "mean", "family": "first"})
    found["prompts"] = grouped["prompts"].agg(lambda some: " ".join(sorted(set(some))))
    return found


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return f"{len(listed)} items ({', '.join(listed[:3])}{', …' if len(listed) > 3 else ''})"
