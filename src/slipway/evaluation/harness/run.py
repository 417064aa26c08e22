"""Ask the recipe's harness tasks: reports with intervals, a row per item, and why a task could not be asked."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slipway import statistics
from slipway.evaluation.calibration import calibration
from slipway.evaluation.harness import library
from slipway.evaluation.harness.draws import seeded, show_examples, varies
from slipway.evaluation.summary import are_answers, estimate, figure
from slipway.evaluation.tasks.task import WORST, Say, cut
from slipway.items import Item
from slipway.records import Measure, TaskReport, WorstItem
from slipway.settings.evaluate import HarnessTask

if TYPE_CHECKING:
    from slipway.evaluation.harness.figures import Asked
    from slipway.evaluation.scoring import Scorer

_SHARES = {"acc", "acc_norm", "acc_mutual_info", "exact_match"}


def run(
    scorer: "Scorer", tasks: Sequence[HarnessTask], folder: Path, *, seed: int, resamples: int, say: Say
) -> tuple[dict[str, TaskReport], list[Item], dict[str, str]]:
    """Reports by task, items of all, and for tasks that were not run the reason.

    Args:
        scorer: asks the model; every process of a group must call this alike.
        tasks: the recipe's.
        folder: the project's own tasks, as YAML.
        seed: of the intervals; a task's own seeds stand in its settings.
        resamples: behind an interval.
        say: called with done, total and a note.

    Raises:
        UserError: for a task or metric that does not exist, a faulty YAML, or scores that are not numbers.
    """
    if not tasks:
        return {}, [], {}
    try:
        version = library.prepare()
    except library.NotInstalledError as error:
        return {}, [], {task.name: str(error) for task in tasks}
    from slipway.evaluation.harness.catalogue import Catalogue, NotRunError
    from slipway.evaluation.harness.language_model import CannotAnswerError

    catalogue, not_run = Catalogue(folder), {}
    reports: dict[str, TaskReport] = {}
    items: list[Item] = []
    for number, task in enumerate(tasks):
        say(number, len(tasks), task.name)
        try:
            one = _One(scorer, task, catalogue.load(task.name))
            rows = one.ask()
            reports[task.name] = one.report(version, rows, resamples, statistics.derived(seed, task.name))
            items += rows
        except (NotRunError, CannotAnswerError) as error:
            not_run[task.name] = str(error)
    say(len(tasks), len(tasks), "harness tasks")
    return reports, items, not_run


class _One:
    """A task of the recipe, loaded: one of the harness, or those of a group."""

    def __init__(self, scorer: "Scorer", asked: HarnessTask, tasks: dict[str, Any]) -> None:
        from slipway.evaluation.harness.language_model import LanguageModel

        self.asked, self.tasks = asked, tasks
        self.model = LanguageModel(scorer)
        for task in tasks.values():
            show_examples(task, asked.few_shot)
        self.varies = any(map(varies, tasks.values()))
        self.found: list[dict[str, Asked]] = []
        """By task, for each seed."""

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.asked.seeds if self.varies else ()

    def ask(self) -> list[Item]:
        """A row per item and seed."""
        from slipway.evaluation.harness.figures import choose, items

        for seed in self.seeds or self.asked.seeds[:1]:
            self.found.append(self._once(seed))
        self.figure = choose(list(self.found[0].values()), self.asked.metric)
        rows = []
        drawn: tuple[int | None, ...] = self.seeds or (None,)
        for given, found in zip(drawn, self.found, strict=True):
            for name, one in found.items():
                prefix = f"{name}/" if len(found) > 1 else ""
                rows += items(self.asked.name, one, self.figure, prefix=prefix, seed=given, encode=self.model.encode)
        return rows

    def _once(self, seed: int) -> dict[str, "Asked"]:
        from slipway.evaluation.harness.catalogue import WRONG, NotRunError, said
        from slipway.evaluation.harness.figures import Asked

        self.model.seed = seed
        for name, task in self.tasks.items():
            task.set_fewshot_seed(seed=seed)
            if not len(task.eval_docs):
                raise NotRunError(f"{name} has no items")
        try:
            found = self._evaluated(seed)
        except WRONG as error:
            raise NotRunError(f"lm_eval stopped: {said(error)}") from error
        return {name: Asked(task, found["samples"][name], found["results"][name]) for name, task in self.tasks.items()}

    def _evaluated(self, seed: int) -> Any:
        from lm_eval.evaluator import evaluate

        with seeded(seed):
            return evaluate(
                self.model,
                {"tasks": self.tasks, "groups": {}, "group_map": {}},
                limit=self.asked.limit,
                bootstrap_iters=0,
                apply_chat_template=self.asked.chat,
                fewshot_as_multiturn=self.asked.chat,
            )

    def report(self, version: str, rows: Sequence[Item], resamples: int, seed: int) -> TaskReport:
        """Figures with intervals, and what makes them comparable."""
        from slipway.evaluation.harness.figures import content
        from slipway.evaluation.harness.identity import identity

        metric, filter_name = self.figure
        first = next(iter(self.found[0].values()))
        shares = are_answers(*np.array([(row.value, row.weight) for row in rows]).T)
        higher = first.task.higher_is_better().get(metric, True)
        data = [content(sample) for one in self.found[0].values() for sample in one.of(filter_name)]
        every = [sample for found in self.found for one in found.values() for sample in one.samples]
        names = sorted(self.tasks) if len(self.tasks) > 1 else []
        return TaskReport(
            measure=figure(rows, resamples, seed),
            unit="share right" if metric in _SHARES and shares else metric.replace("_", " "),
            better="higher" if higher else "lower",
            definition=self._definition(),
            identity=identity(
                version, self.tasks, self.asked, seeds=self.seeds, metric=f"{metric},{filter_name}",
                tokenizer=self.model.tokenizer, data=data,
                prompts=[str(sample["prompt_hash"]) for sample in every],
            ),
            references=_chance(rows) if metric in _SHARES else {},
            groups={
                name: figure([row for row in rows if row.item.startswith(f"{name}/")], resamples, seed)
                for name in names
            },
            metrics=self._others(resamples, seed),
            seeds=self.seeds,
            calibration=calibration(rows, resamples, seed) if shares and not self.varies else None,
            worst=self._worst(rows),
        )  # fmt: skip

    def _definition(self) -> str:
        kinds = sorted({str(task.OUTPUT_TYPE) for task in self.tasks.values()})
        shown = sorted({int(task.config.num_fewshot or 0) for task in self.tasks.values()})
        text = f"{self.asked.name} of lm-evaluation-harness ({', '.join(kinds)}), {_listed(shown)} examples shown"
        if len(self.tasks) > 1:
            text += f"; a group of {len(self.tasks)} tasks, whose items count alike"
        if self.asked.limit:
            text += f"; the first {self.asked.limit} items"
        return f"{text}; {self.figure[0]}, filter {self.figure[1]}" + (
            "; through the chat template" if self.asked.chat else ""
        )

    def _others(self, resamples: int, seed: int) -> dict[str, Measure]:
        """The harness's further figures of a single task, as the first seed has them."""
        if len(self.tasks) > 1:
            return {}
        (one,) = self.found[0].values()
        found = {}
        for metric, filter_name in one.figures:
            value, samples = one.results[f"{metric},{filter_name}"], one.of(filter_name)
            if (metric, filter_name) == self.figure or not isinstance(value, (int, float)):
                continue
            name = metric if filter_name == "none" else f"{metric} ({filter_name})"
            if pairs := one.pairs(metric, filter_name):
                counted = [index for index, (_, weight) in enumerate(pairs) if weight]
                values, weights = np.array(pairs)[counted].T
                families = [samples[index]["doc_hash"] for index in counted]
                found[name] = estimate(values, weights, families, resamples, seed)
            else:
                found[name] = statistics.single(value, len(samples), "computed by lm_eval over all items")
        return found

    def _worst(self, rows: Sequence[Item]) -> tuple[WorstItem, ...]:
        """Wrong answers that won by most, of a single task with choices."""
        (_, one), *more = self.found[0].items()
        wrong = [row for row in rows if row.scores and row.right is not None and row.right != row.picked]
        if more or self.varies:
            return ()
        samples = {str(sample["doc_id"]): sample for sample in one.of(self.figure[1])}
        worst = []
        for row in sorted(wrong, key=lambda row: row.scores[row.right] - row.scores[row.picked])[:WORST]:  # type: ignore[index]
            sample = samples[row.item]
            choices = one.task.doc_to_choice(sample["doc"])
            worst.append(
                WorstItem(
                    item=row.item,
                    value=round(row.scores[row.picked] - row.scores[row.right], statistics.DIGITS),  # type: ignore[index]
                    prompt=cut(str(sample["arguments"][0][0]), end=True),
                    expected=cut(str(choices[row.right])),
                    given=cut(str(choices[row.picked])),
                )
            )
        return tuple(worst)


def _listed(numbers: Sequence[int]) -> str:
    return " or ".join(map(str, numbers)) if any(numbers) else "no"


def _chance(rows: Sequence[Item]) -> dict[str, Measure]:
    counts = [1 / len(row.scores) for row in rows if row.scores]
    if len(counts) != len(rows):
        return {}
    return {"chance": statistics.single(float(np.mean(counts)), len(rows), "one over the number of choices")}
