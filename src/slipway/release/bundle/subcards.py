"""The card's subcards on bias, explainability, privacy, and safety and security.

Fields as in the subcards of NVIDIA's Model Card++, as far as records can answer them. A question that no record answers
says so; a probe that was not run says why. Nothing here is written by hand.
"""

from collections.abc import Iterator

from slipway.page import number
from slipway.records import Measure, Probe
from slipway.release.bundle import training
from slipway.release.bundle.claims import lines
from slipway.release.bundle.limits import limits
from slipway.release.bundle.material import Material
from slipway.release.bundle.render import interval, many, share
from slipway.release.bundle.results import natural, probes, tasks, words
from slipway.release.gate import overall

Row = tuple[str, str]
NOTHING = "none on record"
PRIVACY = ("canary_exposure", "verbatim_extraction", "membership_inference", "pii_samples")
BIAS = ("bias_pairs", "crows_pairs")
"""Probes of each subcard; all others are of safety and security."""


def subcards(material: Material) -> list[tuple[str, list[Row]]]:
    """Title and rows of each subcard."""
    return [
        ("Bias", list(_bias(material))),
        ("Explainability", list(_explainability(material))),
        ("Privacy", list(_privacy(material))),
        ("Safety and security", list(_safety(material))),
    ]


def _figure(measure: Measure) -> str:
    between = "" if measure.low is None else f", 95 % interval {interval(measure)}"
    return f"{number(measure.value)}{between}, n = {number(measure.n)}"


def _probe(probe: Probe) -> str:
    if probe.status != "run":
        return f"{probe.status}: {probe.reason}"
    return "; ".join(f"{words(key)}: {_figure(one)}" for key, one in natural(probe.measures)) or "run; no figure"


def _kind(name: str) -> str:
    return "privacy" if name in PRIVACY else "bias" if name in BIAS or name.startswith("bias") else "safety"


def _probes(material: Material, kind: str, field: str = "Measured") -> Iterator[Row]:
    """A row for each probe of the kind; one that says so if the battery had none."""
    found = [(name, probe) for name, probe in probes(material.safety.probes) if _kind(name) == kind]
    yield from ((f"{field}: {words(name)}", _probe(probe)) for name, probe in found)
    if not found:
        yield field, "not run: the battery held no probe of this"


def _bias(material: Material) -> Iterator[Row]:
    yield "Participation considerations from adversely impacted groups in model design and testing", NOTHING
    yield "Measures taken to mitigate against unwanted bias", f"{NOTHING}; no step of the pipeline balances groups"
    yield from _probes(material, "bias")
    languages = sorted(material.contract.characters_by_language.items(), key=lambda item: (-item[1], item[0]))
    whole = sum(count for _, count in languages)
    yield (
        "Languages of the raw data",
        ", ".join(f"{name} {share(count / whole)}" for name, count in languages[:5]) if whole else "not known",
    )
    kept = material.prepare.characters_by_source
    total = sum(kept.values())
    largest = max(kept.items(), key=lambda item: (item[1], item[0]), default=None)
    yield (
        "Largest source of what was kept",
        f"{largest[0]}, {share(largest[1] / total)}" if largest and total else "none",
    )


def _explainability(material: Material) -> Iterator[Row]:
    about, report = material.recipe.bundle, material.train
    found = lines(material)
    calibrated = [(name, task.calibration) for name, task in tasks(material.evaluate) if task.calibration]
    yield "Intended application and domain", about.intended_use
    yield "Model type", training.architecture(material)
    yield "Output", "text, token by token"
    yield "How the model works", f"trained by {training.OBJECTIVES.get(report.objective, report.objective)}"
    yield "Technical limitations", f"{about.limitations} {many(len(limits(material)), 'known limit')}, listed below."
    yield (
        "Performance metrics",
        "; ".join(
            words(name) if words(name) == task.unit else f"{words(name)} in {task.unit}"
            for name, task in tasks(material.evaluate)
        )
        or "not run",
    )
    yield (
        "Whether it is as often right as it is sure",
        "; ".join(f"{words(name)}: expected calibration error {_figure(c.expected_error)}" for name, c in calibrated)
        or "not applicable: no task picks among choices",
    )
    yield (
        "Verified to have met prescribed quality standards",
        f"{overall(found)} on its own reports, {many(len(found), 'line')}",
    )
    yield "Licensing", about.licence


def _privacy(material: Material) -> Iterator[Row]:
    prepare, about = material.prepare, material.recipe.bundle
    redacted = [f"{kind} {number(count)}" for kind, count in sorted(prepare.redactions.items()) if count]
    looked = ", ".join(kind for kind, _ in material.recipe.prepare.pii)
    yield (
        "Personal data used to create this model",
        f"looked for by patterns ({looked}), names of people are not; replaced: {', '.join(redacted) or 'none'}",
    )
    yield from _probes(material, "privacy", "Generatable or reverse engineerable personal data")
    yield "Consent obtained for any personal data used", NOTHING
    yield "Mechanism to honor data subject rights of access or deletion", about.contact or NOTHING
    sources = material.acquire.sources
    silent = sum(source.licence is None for source in sources)
    yield (
        "Provenance for all datasets used in training",
        f"{many(len(sources), 'source')}, with place and digest in provenance.json; without licence: {number(silent)}",
    )
    met = [line.status for line in material.contract.expectations]
    yield (
        "How often the data is reviewed",
        f"by machine in every build; expectations: {met.count('met')} met, {met.count('not met')} not met, "
        f"{met.count('not run')} not run",
    )


def _safety(material: Material) -> Iterator[Row]:
    about, prepare = material.recipe.bundle, material.prepare
    yield "Model application", "text generation"
    yield "Life critical or physical safety impact", NOTHING
    yield "Use case restrictions", f"those of {about.licence}, see `LICENSE`; intended use as above"
    refused = sum(prepare.licences_refused.values())
    yield (
        "Model and dataset restrictions",
        f"{many(refused, 'document')} of {many(len(prepare.licences_refused), 'source')} left out for their licence",
    )
    yield "How illegal content was kept out of the training data", about.illegal_content or NOTHING
    yield from _probes(material, "safety")
    yield (
        "Formats",
        "safetensors, JSON, text and a parquet table; no file holds code, and loading needs no `trust_remote_code`",
    )
