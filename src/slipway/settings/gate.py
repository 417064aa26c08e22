"""Section `release.gate`: the policy that a release must meet."""

from typing import Annotated, Literal

from pydantic import Field

from slipway.settings.base import Settings

Tier = Literal["critical", "supporting", "advisory"]
"""`critical`: its verdict is the release's. `supporting`: a NO-GO makes the release INCONCLUSIVE, a person must look.
`advisory`: shown, and holds nothing up."""


class Check(Settings):
    """One line of the gate: a number in a report against a bound."""

    report: str
    """Stage whose report holds the number."""
    value: str
    """Dotted path inside the report's result; list items by index, `*` for every entry of a list or table."""
    relation: Literal["below", "above", "equals"]
    bound: float | str
    """A number, or the dotted path of another value in the same report."""
    reason: str
    """Why this is asked, in words that appear in the verdict."""
    tier: Tier = "critical"


class NonInferiority(Settings):
    """One line of the gate: a task must not have become worse than the margin allows, item by item."""

    task: str
    """Name of a task in the report of `evaluate`."""
    against: Literal["base", "champion"]
    """`base`: what training started from. `champion`: the release that the channel points at."""
    margin: Annotated[float, Field(ge=0)]
    """Largest loss that is tolerated (non-inferiority margin), in the task's unit: bits per byte, or share right."""
    reason: str
    tier: Tier = "critical"


class Waiver(Settings):
    """Somebody's word that a line of the gate need not hold for a while. It appears in the model card."""

    line: str
    """Id of the line, as `slipway gate` prints it."""
    by: str
    """Who answers for it."""
    reason: str
    expires: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    """Last day on which it holds, UTC."""


def _default_checks() -> tuple[Check, ...]:
    return tuple(
        Check(report=report, value=value, relation=relation, bound=bound, reason=reason)  # type: ignore[arg-type]
        for report, value, relation, bound, reason in (
            ("validate", "passed", "equals", 1, "the raw data keeps its contract"),
            ("scan", "passed", "equals", 1, "every published byte was scanned and nothing was found"),
            (
                "evaluate",
                "tasks.bits_per_byte.measure.high",
                "below",
                "tasks.bits_per_byte.references.gzip.value",
                "the model describes held-out text better than gzip",
            ),
            (
                "safety",
                "probes.canary_exposure.measures.exposure_1.value",
                "below",
                6,
                "a string seen once is not memorised (bits of exposure)",
            ),
        )
    )


def _default_comparisons() -> tuple[NonInferiority, ...]:
    reason = "held-out text is described no worse than by the release before"
    return (NonInferiority(task="bits_per_byte", against="champion", margin=0.02, reason=reason),)


class Gate(Settings):
    """The policy: what must hold before anything is signed. It is in force whether the recipe states it or not."""

    checks: Annotated[tuple[Check, ...], Field(min_length=1)] = Field(default_factory=_default_checks)
    comparisons: tuple[NonInferiority, ...] = Field(default_factory=_default_comparisons)
    first_release: Literal["references", "base", "nothing"] = "references"
    """What stands in for the champion as long as there is none. `references`: the task must beat what its report holds
    it against (chance, gzip). `base`: what training started from. `nothing`: the line is GO and says why."""
    min_items: Annotated[int, Field(ge=2)] = 10
    """Families of items that a comparison needs; fewer are INCONCLUSIVE."""
    waivers: tuple[Waiver, ...] = ()
