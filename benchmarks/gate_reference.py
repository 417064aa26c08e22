"""The gate's verdicts computed by hand with scipy: a reference that imports nothing of Slipway.

It is written from the description in docs/gate.md alone: difference by item, percentile bootstrap over families with
Student's widening, Tango's score interval where few families are unlike the rest, Holm's correction, verdict. The
constrained likelihood of the score test is maximised numerically and Holm's steps are spelt out. `verdicts` gives a
second answer from normal theory (linearised ratio, Student's t). It differs at the border, and where hardly any item is
answered differently: there it takes luck for certainty.
"""

import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy import optimize, stats

ALPHA, FEW, FEWEST = 0.025, 20, 10


def by_family(ours: Path, theirs: Path, task: str, better: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Gain, weight and items of each family in the order of their names, and whether all items are shares."""
    other = {row["item"]: row for row in pq.read_table(theirs).to_pylist() if row["task"] == task}
    gains: dict[str, float] = defaultdict(float)
    weights: dict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    shares = True
    for row in sorted(
        (row for row in pq.read_table(ours).to_pylist() if row["task"] == task), key=lambda row: row["item"]
    ):
        a, b = row["value"], other[row["item"]]["value"]
        gains[row["family"]] += a - b if better == "higher" else b - a
        weights[row["family"]] += row["weight"]
        counts[row["family"]] += 1
        shares = shares and row["weight"] == 1 and a in (0, 1) and b in (0, 1)
    names = sorted(gains)
    columns = [np.array([some[name] for name in names], float) for some in (gains, weights, counts)]
    return columns[0], columns[1], columns[2], shares


def tango(gained: float, lost: float, n: float, difference: float) -> float:
    """The score statistic, its nuisance parameter found by a numerical maximum."""

    def unlikely(share: float) -> float:
        cells = ((gained, share + difference), (lost, share), (n - gained - lost, 1 - 2 * share - difference))
        return -sum(count * np.log(max(p, 1e-300)) for count, p in cells if count > 0)

    low, high = max(0.0, -difference), (1 - difference) / 2
    share = optimize.minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
    variance = n * (2 * share + difference * (1 - difference))
    return (gained - lost - n * difference) / np.sqrt(max(variance, 1e-300))


def one(ours: Path, theirs: Path, task: str, better: str, margin: float, *, seed: int, resamples: int) -> dict:
    """Lower end, p-value of a loss beyond the margin and families; and the same from normal theory."""
    gains, weights, counts, shares = by_family(ours, theirs, task, better)
    n = len(gains)
    stretch = np.sqrt(n / (n - 1))
    level = stats.norm.cdf(stretch * stats.t.ppf(1 - ALPHA, n - 1))
    named = f"{seed} gate {task} vs champion"
    if np.ptp(gains / weights) == 0:
        draws = np.full(resamples, gains.sum() / weights.sum())
    else:
        draws = stats.bootstrap(
            (gains, weights), lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis), paired=True, batch=100,
            n_resamples=resamples, method="percentile", rng=np.random.default_rng(zlib.crc32(named.encode())),
        ).bootstrap_distribution  # fmt: skip
    low = np.quantile(draws, 1 - level)
    p = stats.t.cdf(stats.norm.ppf((1 + (draws >= -margin).sum()) / (1 + resamples)) / stretch, n - 1)
    rates = Counter(np.round(gains / counts, 6))
    if shares and n - rates.most_common(1)[0][1] < FEW:
        effective = counts.sum() ** 2 / (counts**2).sum()
        items = _each(ours, theirs, task)
        gained, lost = (effective * np.mean([side * gain > 0 for gain in items]) for side in (1, -1))
        wanted, value = stats.norm.ppf(1 - ALPHA), (gained - lost) / effective
        score_low = optimize.brentq(lambda d: tango(gained, lost, effective, d) - wanted, -1 + 1e-9, value + 1e-9)
        low, p = min(low, score_low), max(p, stats.norm.cdf(tango(gained, lost, effective, -margin)))
    value = gains.sum() / weights.sum()
    error = np.sqrt(n / (n - 1) * ((gains - value * weights) ** 2).sum()) / weights.sum()
    theory_low = value - stats.t.ppf(1 - ALPHA, n - 1) * error
    theory_p = stats.t.cdf((value + margin) / error, n - 1) if error else float(value >= -margin)
    return {"n": n, "low": round(low, 6), "p": p, "theory": {"low": theory_low, "p": theory_p, "n": n}}


def _each(ours: Path, theirs: Path, task: str) -> list[float]:
    other = {row["item"]: row["value"] for row in pq.read_table(theirs).to_pylist() if row["task"] == task}
    return [row["value"] - other[row["item"]] for row in pq.read_table(ours).to_pylist() if row["task"] == task]


def decided(found: list[dict], margin: float) -> list[str]:
    """Verdicts after Holm's correction, step by step."""
    counted = sorted((one["p"], index) for index, one in enumerate(found) if one["n"] >= FEWEST)
    corrected, highest = {}, 0.0
    for step, (p, index) in enumerate(counted):
        highest = max(highest, min(1.0, (len(counted) - step) * p))
        corrected[index] = highest
    verdicts = []
    for index, one in enumerate(found):
        if one["n"] < FEWEST:
            verdicts.append("INCONCLUSIVE")
        elif one["low"] >= -margin:
            verdicts.append("GO")
        else:
            verdicts.append("NO-GO" if corrected[index] < ALPHA else "INCONCLUSIVE")
    return verdicts


def verdicts(
    ours: Path, theirs: Path, tasks: Mapping[str, str], margin: float, *, seed: int, resamples: int
) -> tuple[list[str], list[str]]:
    """The verdict on each task, and what normal theory would say."""
    found = [
        one(ours, theirs, task, better, margin, seed=seed, resamples=resamples) for task, better in tasks.items()
    ]  # fmt: skip
    return decided(found, margin), decided([one["theory"] for one in found], margin)
