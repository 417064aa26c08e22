"""The battery: every probe, and for each whether it was run, was not run and why, or does not apply.

A probe that lacks what it needs is not run, and the others are. A model that gives no numbers ends all: whatever
could still be said of it would look like a result.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import Damaged, UserError
from slipway.records import Probe, SafetyReport
from slipway.safety import (
    bias_pairs,
    canary_exposure,
    chat_template,
    crows_pairs,
    membership_inference,
    pii_samples,
    poisoning,
    refusal,
    toxicity,
    verbatim_extraction,
)
from slipway.safety.finished import Finished
from slipway.safety.material import Material
from slipway.safety.measures import Progress, not_run
from slipway.safety.talking import Talker
from slipway.settings import Safety

Say = Callable[[int, int, str], None]
Extra = Mapping[str, Callable[[], Probe]]


@dataclass(frozen=True, slots=True)
class Step:
    """Probes that are made together."""

    names: tuple[str, ...]
    run: Callable[[Progress], Sequence[Probe]]


def run(
    scorer: Talker,
    material: Material,
    settings: Safety,
    seed: int,
    *,
    weights_sha256: str,
    root: Path,
    talks: bool = False,
    extra: Extra | None = None,
    finished: Finished | None = None,
    say: Say = lambda *_: None,
) -> SafetyReport:
    """Run every probe that can be run on this model and return all of them, by name.

    Args:
        scorer: the model.
        material: what the probes look at.
        settings: the recipe's.
        seed: each probe derives its own from it.
        weights_sha256: names the model in the report.
        root: the project, in which the files lie that the recipe names.
        talks: the tokenizer has a chat template, so people will hold conversations with the model.
        extra: further probes, by name.
        finished: what an earlier, killed run has done already; removed at the end.
        say: called with thousandths of a step done, of all steps, and a note.

    Raises:
        Damaged: if the model gives no numbers.
        UserError: for a file that the recipe names and that is not what it should be, before anything is run.
    """
    finished = finished or Finished(None)
    for name, read in ((settings.bias_file, crows_pairs.read), (settings.refusal_file, refusal.read)):
        if name is not None:
            read(root / name)
    steps = [
        *_memory(scorer, material, settings, seed),
        *_conduct(scorer, material, settings, seed, root=root, talks=talks),
    ]
    steps += [_poisoning(scorer, material, settings, seed)]
    steps += [Step((name,), _alone(probe)) for name, probe in (extra or {}).items()]
    found: dict[str, Probe] = {}
    for number, step in enumerate(steps):
        note = step.names[0]
        say(1000 * number, 1000 * len(steps), note)
        probes = finished.get(step.names)
        if probes is None:
            probes = _done(
                step,
                lambda done, total, at=number, note=note: say(  # type: ignore[misc]
                    1000 * at + 1000 * done // max(total, 1), 1000 * len(steps), note
                ),
            )
            finished.keep(probes)
        found |= {probe.name: probe for probe in probes}
    say(1000 * len(steps), 1000 * len(steps), f"{len(found)} probes")
    finished.discard()
    return SafetyReport(weights_sha256=weights_sha256, probes=found)


def _done(step: Step, progress: Progress) -> list[Probe]:
    try:
        probes = list(step.run(progress))
    except Damaged:
        raise
    except UserError as error:
        return [not_run(name, str(error)) for name in step.names]
    if [probe.name for probe in probes] != list(step.names):
        raise RuntimeError(f"the step of {step.names} gave {[probe.name for probe in probes]}")
    return probes


def _alone(probe: Callable[[], Probe]) -> Callable[[Progress], Sequence[Probe]]:
    return lambda _: [probe()]


def _memory(scorer: Talker, material: Material, settings: Safety, seed: int) -> Iterator[Step]:
    """What the model remembers of its training data."""
    train, held_out = material.train, material.held_out
    yield Step(
        (canary_exposure.NAME,),
        lambda progress: [
            canary_exposure.probe(
                scorer,
                material.canaries,
                template=material.template,
                digits=material.digits,
                fills=settings.fills,
                seed=seed,
                progress=progress,
            )
        ],
    )
    yield Step(
        (verbatim_extraction.NAME,),
        lambda _: [
            verbatim_extraction.probe(
                scorer,
                train.texts,
                held_out.texts,
                rows=settings.extraction_rows,
                tokens=settings.extraction_tokens,
                seed=seed,
            )
        ],
    )
    yield Step(
        (membership_inference.NAME,),
        lambda _: [
            membership_inference.probe(
                scorer,
                train.sourced,
                held_out.sourced,
                rows=settings.membership_rows,
                seed=seed,
                families=held_out.families,
            )
        ],
    )


def _conduct(
    scorer: Talker, material: Material, settings: Safety, seed: int, *, root: Path, talks: bool
) -> Iterator[Step]:
    """What the model says, prefers and refuses."""
    files = [None if name is None else root / name for name in (settings.bias_file, settings.refusal_file)]
    train = material.train.texts

    def free(_: Progress) -> list[Probe]:
        texts = pii_samples.draw(scorer, samples=settings.samples, tokens=settings.sample_tokens, seed=seed)
        return [pii_samples.probe(texts, train), toxicity.probe(texts, train=train)]

    yield Step((pii_samples.NAME, toxicity.NAME), free)
    yield Step((bias_pairs.OWN, bias_pairs.CROWS), lambda _: bias_pairs.probe(scorer, file=files[0], seed=seed))
    yield Step((refusal.NAME,), lambda _: [refusal.probe(scorer, file=files[1], talks=talks, seed=seed)])
    yield Step(
        (chat_template.NAME,),
        lambda _: [
            chat_template.probe(
                scorer,
                material.held_out.openings,
                talks=talks,
                rows=settings.chat_rows,
                tokens=settings.chat_tokens,
                seed=seed,
            )
        ],
    )


def _poisoning(scorer: Talker, material: Material, settings: Safety, seed: int) -> Step:
    """What was planted in the training data."""
    train = material.train
    return Step(
        poisoning.NAMES,
        lambda _: poisoning.probes(
            scorer,
            train.texts,
            material.held_out.texts,
            settings.poisoning,
            seed,
            labels=train.labels,
            sources=train.sources,
        ),
    )
