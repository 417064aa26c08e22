"""Known gaps of the data: what a reader might expect and will not find; derived from records, so none goes stale."""

from collections.abc import Iterator

from slipway.page import number
from slipway.release.bundle.material import Material
from slipway.release.bundle.render import share
from slipway.release.bundle.results import words


def gaps(material: Material) -> list[str]:
    """One sentence per gap."""
    return [*_sources(material), *_contract(material), *_cleaning(material), *_splits(material)]


def _sources(material: Material) -> Iterator[str]:
    if silent := sorted(source.source for source in material.acquire.sources if source.licence is None):
        kept = [name for name in silent if material.prepare.documents_by_source.get(name)]
        yield (
            f"No licence could be read for {', '.join(silent)}; "
            + (f"text of {', '.join(kept)} was kept all the same." if kept else "nothing of it was kept.")
        )
    characters = material.contract.characters_by_source
    largest = max(characters.items(), key=lambda item: (item[1], item[0]), default=None)
    if largest and (total := sum(characters.values())):
        yield f"{largest[0]} alone is {share(largest[1] / total)} of the raw characters."


def _contract(material: Material) -> Iterator[str]:
    for line in material.contract.expectations:
        if line.status == "not met":
            yield f"The data contract does not hold: {line.name}, {line.observed} ({line.bound})."
        elif line.status == "not run":
            yield f"Not run, so nothing is known: {line.name} ({line.observed})."
    if material.contract.baseline_sha256 is None:
        yield "Drift was not measured: the recipe names no earlier release to compare with."
    if not material.contract.characters_by_language:
        yield "No language was told, so the language mix is not known."


def _cleaning(material: Material) -> Iterator[str]:
    recipe, similarity = material.recipe.prepare, material.prepare.similarity
    kinds = ", ".join(kind for kind, _ in recipe.pii)
    yield (
        f"Personal data is found by patterns ({kinds}); names of people, and whatever no pattern describes, stay in "
        "the text."
    )
    yield (
        f"Near duplicates are found by MinHash: two documents of Jaccard index {similarity.family_jaccard:g} are "
        f"compared with a probability of {share(similarity.found_share)}, more similar ones with a higher one."
    )
    if recipe.canaries.per_level == 0:
        yield "No canaries were planted, so memorisation of rare strings cannot be measured."
    yield "Text was not judged for being true, harmful or biased."
    for name, probe in sorted(material.safety.probes.items()):
        if name.startswith("poisoning") and probe.status == "not run":
            what = "The training text was not searched for what somebody may have planted"
            yield f"{what}, {words(name)}: {probe.reason}."


def _splits(material: Material) -> Iterator[str]:
    found = material.prepare.contamination
    if not material.acquire.tasks:
        yield "The recipe names no task file, so training data was cleaned of held-out documents alone."
    asked = material.evaluate.tasks.items()
    if foreign := sorted(name for name, task in asked if not task.identity.harness.startswith("slipway")):
        yield f"Training data was not cleaned of the items of {', '.join(foreign)}: these are read only to evaluate."
    for name, count in sorted(found.too_short.items()):
        if count:
            yield f"{number(count)} items of {name} are too short to be looked for in the training data."
    if left := {name: part for name, part in sorted(found.residual.items()) if part}:
        parts = ", ".join(f"{name} {share(part)}" for name, part in left.items())
        yield (
            f"Some words of what is measured on still stand in runs of {found.words} words that training text holds "
            f"too: {parts}."
        )
    yield (
        f"Paraphrases and translations of an item are not looked for; runs of {found.words} words and near "
        "duplicates are."
    )
