"""Everything that is measured on the test split, as one report and the rows of the item table.

A task that cannot be asked is not run, and the report says why; an empty split is an error before any model is asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.errors import UserError
from slipway.evaluation.beside import BASE, MODEL, Base, Beside
from slipway.evaluation.samples import samples
from slipway.evaluation.summary import difference, summarise
from slipway.evaluation.tasks import answers, bits_per_byte, continuation, file, question, signature
from slipway.evaluation.tasks.task import Material, NotAsked, Say, Task
from slipway.items import Item
from slipway.records import EvaluateReport, TaskReport
from slipway.statistics import derived

if TYPE_CHECKING:
    from slipway.evaluation.scoring import Scorer

OWN = (bits_per_byte.TASK, answers.TASK, continuation.TASK, signature.TASK)


def evaluate(
    scorer: "Scorer",
    material: Material,
    *,
    weights_sha256: str,
    files: Sequence[file.FileTask] = (),
    harness_tasks: Path = Path("tasks"),
    base: Base | None = None,
    say: Say = lambda *_: None,
) -> tuple[EvaluateReport, list[Item]]:
    """Ask all tasks of the recipe.

    Args:
        scorer: the model.
        material: the test split and what the recipe says.
        weights_sha256: digest of the model's weights.
        files: the tasks that the recipe brings.
        harness_tasks: directory with the project's own tasks for lm-evaluation-harness.
        base: what training started from.
        say: told how far each task is.

    Returns: the report and the rows of the item table, task by task.

    Raises:
        UserError: if a model's scores are no numbers, or the context is longer than its positions.
    """
    _check_context(scorer)
    beside = Beside(base.digest, base.scorer()) if base else None
    found = _Asking(scorer, beside, material, say)
    for task in wanted(material, files):
        found.ask(task)
    if material.settings.harness:
        found.harness(harness_tasks)
    report = EvaluateReport(
        weights_sha256=weights_sha256,
        test_sha256=material.test_sha256,
        test_documents=len(material.test),
        test_bytes=sum(len(document.text.encode()) for document in material.test),
        tasks=found.reports,
        not_run=found.not_run,
        base=beside.record() if beside else None,
        samples=samples(scorer, material.test, material.seed),
    )
    return report, found.items


def wanted(material: Material, files: Sequence[file.FileTask]) -> list[Task]:
    """The own tasks of a recipe, in the order of the report."""
    asked = [question.TASK] if material.settings.question else []
    return [*OWN, *asked, *(file.task(brought) for brought in files)]


def _check_context(scorer: "Scorer") -> None:
    positions = getattr(scorer.model.config, "max_position_embeddings", None)
    if positions and scorer.context > positions:
        raise UserError(
            f"train.sequence_length is {scorer.context}, but the model has {positions} positions; beyond them its "
            "scores mean nothing. Lower train.sequence_length"
        )


@dataclass(slots=True)
class _Asking:
    """Asks task after task, of the model and of the base, and keeps what came of it."""

    scorer: "Scorer"
    beside: Beside | None
    material: Material
    say: Say
    reports: dict[str, TaskReport] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    not_run: dict[str, str] = field(default_factory=dict)

    def ask(self, task: Task) -> None:
        """An own task."""
        made = task.make(self.scorer, self.material)
        if isinstance(made, NotAsked):
            self.not_run[task.name] = made.reason
            return
        model, base = made.ask(self.scorer, MODEL, made.forms[0], self.say), []
        if self.beside:
            base = self.beside.ask(
                made, self.material, lambda done, total, what: self.say(done, total, f"{what}, base")
            )
        self.reports[task.name] = summarise(task, made, self.material, scorer=self.scorer, model=model, base=base)
        self.items += [*model, *base]

    def harness(self, folder: Path) -> None:
        """The recipe's tasks of lm-evaluation-harness."""
        reports, items, not_run = self._run_harness(self.scorer, folder)
        self.items += items
        self.not_run |= not_run
        if self.beside:
            theirs, others, _ = self._run_harness(self.beside.scorer, folder)
            others = [replace(item, model=BASE) for item in others]
            self.items += others
            for name in reports.keys() & theirs.keys():
                paired = difference(
                    [item for item in items if item.task == name],
                    [item for item in others if item.task == name],
                    self.material.settings.bootstrap,
                    derived(self.material.seed, name),
                )
                update = {"base": theirs[name].measure, "base_difference": paired}
                reports[name] = reports[name].model_copy(update=update)
        self.reports |= reports

    def _run_harness(self, scorer: "Scorer", folder: Path) -> tuple[dict[str, TaskReport], list[Item], dict[str, str]]:
        from slipway.evaluation import harness

        settings = self.material.settings
        return harness.run(
            scorer, settings.harness, folder, seed=self.material.seed, resamples=settings.bootstrap, say=self.say
        )
