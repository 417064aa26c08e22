"""DATA.md: sources, licences, sizes, filters with their counts, splits and known gaps, out of the records."""

from slipway.release.bundle.material import Material
from slipway.release.bundle.render import markdown


def gaps(material: Material) -> list[str]:
    """What a reader might expect of the data and will not find; derived, so it cannot go stale."""
    found = []
    acquire, contract, recipe = material.acquire, material.contract, material.recipe
    if silent := sorted(source.source for source in acquire.sources if source.licence is None):
        found.append(
            f"No licence could be read for {', '.join(silent)}; their text is used only if the filter below kept it."
        )
    found += [
        f"The data contract does not hold: {line.name}, {line.observed} ({line.bound})."
        for line in contract.expectations
        if not line.passed
    ]
    largest = max(contract.characters_by_source.items(), key=lambda item: (item[1], item[0]), default=None)
    total = sum(contract.characters_by_source.values())
    if largest and total:
        found.append(f"{largest[0]} alone is {largest[1] / total:.0%} of the raw characters.")
    if recipe.prepare.canaries.per_level == 0:
        found.append("No canaries were planted, so memorisation of rare strings cannot be measured.")
    off = sorted(kind for kind, action in recipe.prepare.pii if action != "fail")
    found.append(
        f"Personal data is found by patterns ({', '.join(off)}); "
        "names of people, and whatever no pattern describes, stay in the text."
    )
    found.append(
        f"The splits share no two documents of Jaccard similarity {recipe.prepare.family_jaccard:g} or more (word "
        "5-shingles); shorter passages that otherwise different documents have in common can stand in several splits."
    )
    found.append("Text was not judged for being true, harmful or biased.")
    return found


def render(material: Material) -> str:
    """The text of DATA.md."""
    return markdown("data.md.j2", m=material, gaps=gaps(material))
