"""DATA.md: where the data comes from, what its licences ask, what was taken out and what is left, out of the records.

No number of its own: every value is a field of a record, a sum of such fields, or a share of such a sum. A
record whose counts do not add up, or that speaks of another licence than the release's, is refused.
"""

from dataclasses import dataclass

from slipway.errors import Refusal
from slipway.page import number
from slipway.release.bundle.gaps import gaps
from slipway.release.bundle.licence import same
from slipway.release.bundle.material import Material
from slipway.release.bundle.render import markdown, share
from slipway.release.bundle.training_content import summary

STEPS = (
    *("licence", "length", "text", "personal data", "quality"),
    *("exact duplicates", "near duplicates", "split", "decontamination"),
)
"""Order in which documents are rejected; a record keeps its keys in alphabetical order."""
SHOWN_HITS = 10


@dataclass(frozen=True)
class Step:
    """One filter: documents that came in, were rejected, and went on."""

    name: str
    rule: str
    """What a document must be to go on, with the recipe's bounds."""
    came: int
    rejected: int

    @property
    def went(self) -> int:
        return self.came - self.rejected


def _rules(material: Material) -> dict[str, str]:
    """Step to what it asks, in the recipe's numbers."""
    recipe = material.recipe.prepare
    quality, drop = recipe.quality, [kind for kind, action in recipe.pii if action == "drop"]
    return {
        "licence": "its licence is allowed",
        "length": f"{number(recipe.min_characters)} to {number(recipe.max_characters)} characters",
        "text": "it is no binary data",
        "quality": (
            f"at most {share(quality.max_symbol_share)} symbols, {share(quality.max_repeated_lines)} in repeated "
            f"lines, {share(quality.max_repeated_words)} in repeated runs of words, {share(quality.max_boilerplate)} "
            f"in boilerplate; words of at most {quality.max_word_characters:g} characters in the mean"
        ),
        "personal data": f"it holds no {' or '.join(drop)}" if drop else "finds are replaced, none is rejected",
        "exact duplicates": "the first of equal texts",
        "near duplicates": f"the one kept of those alike (Jaccard index {recipe.duplicate_jaccard:g} or more)",
        "split": f"train resembles no held-out text (Jaccard index {recipe.family_jaccard:g} or more)",
        "decontamination": "it holds no item that the model is measured on",
    }


def steps(material: Material) -> list[Step]:
    """The filters in their order, each fed by the one before; one that rejected nothing is shown too."""
    left, found, rules = material.prepare.documents_in, [], _rules(material)
    by_step = material.prepare.rejects_by_step
    for name in (*STEPS, *sorted(by_step.keys() - set(STEPS))):
        found.append(Step(name, rules.get(name, "not described"), left, by_step.get(name, 0)))
        left = found[-1].went
    return found


def check(material: Material) -> None:
    """That the record of `prepare` is consistent and about this release.

    Raises:
        Refusal: if in = out + rejects does not hold, by reason or by step, or the licence was checked for another
            release licence.
    """
    prepare, licence = material.prepare, material.recipe.bundle.licence
    kept = sum(prepare.splits.values())
    for kind, rejects in (("reason", prepare.rejects), ("step", prepare.rejects_by_step)):
        if prepare.documents_in != kept + sum(rejects.values()):
            raise Refusal(
                f"reports/prepare.json: {prepare.documents_in} documents came in, but {kept} were kept and "
                f"{sum(rejects.values())} rejected, by {kind}; rebuild with `slipway build --force prepare`"
            )
    if not same(prepare.release_licence, licence):
        raise Refusal(
            f"reports/prepare.json: licences were checked for a release under {prepare.release_licence}, but "
            f"bundle.licence is {licence}; rebuild with `slipway build --force prepare`"
        )


def shares(counts: dict[str, int]) -> list[tuple[str, int, float]]:
    """Name, count and share of the whole, largest first."""
    total = sum(counts.values())
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(name, count, count / total if total else 0.0) for name, count in ranked]


def render(material: Material) -> str:
    """The text of DATA.md; raises as `check`."""
    check(material)
    return markdown(
        "data.md.j2",
        m=material,
        steps=steps(material),
        shares=shares,
        gaps=gaps(material),
        hits=material.prepare.contamination.hits[:SHOWN_HITS],
        summary=summary(material),
    )
