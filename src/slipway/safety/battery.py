"""The battery: which probes are run, and, in plain sight, which are not and why."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway import shards
from slipway.errors import UserError
from slipway.records import Probe, SafetyReport
from slipway.safety import canary_exposure, pii_samples, verbatim_extraction
from slipway.safety.canary_exposure import Canary
from slipway.safety.measures import Scorer, not_applicable, not_run
from slipway.settings import Safety

Say = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Material:
    """What the probes look at besides the model."""

    train: Sequence[str]
    held_out: Sequence[str]
    template: str
    digits: int
    canaries: Sequence[Canary]


CHAT = "chat_template"
NOT_RUN = {
    "membership_inference": "not implemented in this version; extraction and exposure cover memorisation in part",
    "bias_pairs": "not implemented in this version: it needs sets of paired sentences",
    "toxicity": "needs a classifier or a lexicon, and this version ships neither",
    "refusal": "needs a file of prompts and a model that follows instructions",
    "poisoning": "not implemented in this version: no search for triggers in the training data is made",
}


def run(
    scorer: Scorer,
    material: Material,
    settings: Safety,
    seed: int,
    *,
    weights_sha256: str,
    talks: bool = False,
    say: Say = lambda *_: None,
) -> SafetyReport:
    """Run every probe that can be run on this model and return all of them, by name.

    `talks`: the tokenizer has a chat template, so people will hold conversations with the model.
    """
    planted, texts = material.canaries, (material.train, material.held_out)
    probes: list[Callable[[], Probe]] = [
        lambda: canary_exposure.probe(
            scorer, planted, template=material.template, digits=material.digits, fills=settings.fills, seed=seed
        ),
        lambda: verbatim_extraction.probe(
            scorer, *texts, rows=settings.extraction_rows, tokens=settings.extraction_tokens, seed=seed
        ),
        lambda: pii_samples.probe(
            scorer, material.train, samples=settings.samples, tokens=settings.sample_tokens, seed=seed
        ),
    ]
    found: dict[str, Probe] = {}
    for probe in probes:
        result = probe()
        found[result.name] = result
        say(len(found), len(probes), result.name)
    found |= {name: not_run(name, reason) for name, reason in NOT_RUN.items()}
    if talks:
        found[CHAT] = not_run(
            CHAT, "not implemented in this version: the probes above see the model without its template"
        )
    else:
        found[CHAT] = not_applicable(CHAT, "the tokenizer has no chat template")
    return SafetyReport(weights_sha256=weights_sha256, probes=found)


def read_material(clean: Path) -> Material:
    """Read `data/clean`: the splits without canaries, and what was planted.

    Raises:
        UserError: if `canaries.json` is missing or not what `prepare` writes.
    """
    path = clean / "canaries.json"
    try:
        planted = json.loads(path.read_text("utf-8"))
        canaries = [Canary(one["name"], one["fill"], one["repeats"]) for one in planted["canaries"]]
        template, digits = planted["template"], planted["digits"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error!r}); rebuild with `slipway build --force prepare`") from None
    return Material(_texts(clean, "train"), _texts(clean, "test"), template, digits, canaries)


def _texts(clean: Path, split: str) -> list[str]:
    import pyarrow.compute as pc

    found: list[str] = []
    for batch in shards.batches(clean, split, columns=("text", "source")):
        found += batch.filter(pc.not_equal(batch["source"], "canary"))["text"].to_pylist()
    return found
