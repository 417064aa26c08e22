"""The report of `evaluate`: every task with interval, references, base and what must be equal to compare it."""

from typing import Literal

from slipway.records.base import Measure, Record


class Comparable(Record):
    """What must be equal for two results of a task to be compared. Digests are sha256 over canonical JSON or bytes."""

    harness: str
    """Who asked, with version: `slipway 0.4.0` or `lm_eval 0.4.13`."""
    task: str
    """Digest of the task's definition and settings."""
    prompt: str
    """Digest of the prompt template."""
    few_shot: str
    """Digest of how many examples are shown and which; `none`."""
    decoding: str
    """Digest of how text is generated; `likelihood` where none is."""
    tokenizer: str
    chat_template: str
    """`none` if the task is asked without one."""
    data: str
    """Digest of the items."""

    def differs(self, other: "Comparable") -> list[str]:
        """Names of the fields that are not equal."""
        return [name for name in type(self).model_fields if getattr(self, name) != getattr(other, name)]


class CalibrationBin(Record):
    """Answers of similar confidence."""

    confidence: float
    """Mean probability given to the picked answer."""
    accuracy: float
    """Share of them that is right."""
    n: int


class Calibration(Record):
    """Whether a model is as often right as it is sure."""

    expected_error: Measure
    """Expected calibration error: mean distance of confidence and accuracy over bins, weighted by their sizes
    (Naeini et al. 2015)."""
    bins: tuple[CalibrationBin, ...]


class WorstItem(Record):
    """An item that the model does worst at, for people to look at."""

    item: str
    value: float
    """In the task's unit; for choices the margin by which a wrong answer won, in nats."""
    prompt: str
    expected: str
    given: str
    """What the model picked or wrote; empty where it was only asked for a likelihood."""


class TaskReport(Record):
    """One task. Its items are in `reports/evaluate_items.parquet`, and its figure is sum of values / sum of weights."""

    measure: Measure
    unit: str
    """`bits per byte`, `share right`, …"""
    better: Literal["lower", "higher"]
    definition: str
    """How an item is made and how it is scored, in words."""
    identity: Comparable
    references: dict[str, Measure]
    """What to hold the figure against: compressors, chance."""
    groups: dict[str, Measure] = {}
    """The same figure by source or subset."""
    metrics: dict[str, Measure] = {}
    """Further figures of the task, by name."""
    seeds: tuple[int, ...] = ()
    """Of sampled generations; empty where nothing is drawn."""
    calibration: Calibration | None = None
    worst: tuple[WorstItem, ...] = ()
    base: Measure | None = None
    """What the base makes of the same items; None if training started from new weights, or the base was not asked."""
    base_difference: Measure | None = None
    """Model minus base, item by item, so the interval is that of the improvement itself."""


class BaseComparison(Record):
    """The base that training started from; what it makes of each task stands in the task's report."""

    digest: str
    """Of the base, as `reports/acquire.json` has it."""
    answers_form: Literal["template", "plain"] | None = None
    """The form in which the base answers better, which is the one it is judged by. `template`: rendered as for the
    model. `plain`: without control tokens, which a base may never have met, and without what ends the answer."""
    answers_by_form: dict[str, Measure] = {}


class Sample(Record):
    """A prompt and what the model adds, for people to look at."""

    prompt: str
    text: str
    decoding: str
    """`greedy`, or `temperature 1`."""
    seed: int | None
    """Of the draw; None for greedy."""


class EvaluateReport(Record):
    """Quality on held-out text and on the recipe's tasks."""

    weights_sha256: str
    test_sha256: str
    """sha256 over the sorted lines `<sha256>  <path>` of the test shards."""
    test_documents: int
    test_bytes: int
    tasks: dict[str, TaskReport]
    """`bits_per_byte` first; then `answers`, `continuation`, `signature`, `question`, the names of `evaluate.files` and
    of `evaluate.harness.tasks`."""
    not_run: dict[str, str] = {}
    """Task to the reason why it could not be asked."""
    base: BaseComparison | None = None
    """None if training started from new weights."""
    samples: tuple[Sample, ...]
