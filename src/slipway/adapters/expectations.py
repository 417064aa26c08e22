"""Great Expectations as the judge of the data contract: the suite as code, the verdict as our records.

An ephemeral context, no actions, no data docs, no progress bars and no usage statistics: nothing is kept
and nothing is sent. A check that crashes counts as not met. The bounds are the recipe's section `validate`.
"""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slipway.records import Expectation
from slipway.settings import Validate

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 20


@dataclass(frozen=True)
class _Item:
    """One expectation with the words that stand for it."""

    name: str
    column: str | None
    bound: str
    check: Any


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _row_suite(settings: Validate) -> list[_Item]:
    from great_expectations import expectations as gx

    low, high = settings.min_characters, settings.max_characters
    outside, unlicensed = settings.max_outside_length, settings.max_without_licence
    copies = settings.max_duplicate_share

    def whole(column: str) -> Any:
        return gx.ExpectColumnValuesToNotBeNull(column=column)

    def flag(column: str, value: bool, share: float = 0) -> Any:
        return gx.ExpectColumnValuesToBeInSet(column=column, value_set=[value], mostly=1 - share)

    return [
        _Item(
            "enough documents",
            None,
            f"at least {settings.min_documents:,}",
            gx.ExpectTableRowCountToBeBetween(min_value=settings.min_documents),
        ),
        _Item("every document has an id", "id", "no null", whole("id")),
        _Item("ids are unique", "id", "no value twice", gx.ExpectColumnValuesToBeUnique(column="id")),
        _Item("every document has text", "text", "no null", whole("characters")),
        _Item("every document has a source", "source", "no null", whole("source")),
        _Item("every document has a group", "group", "no null", whole("group")),
        _Item(
            "documents have a sensible length",
            "text",
            f"{low:,} to {high:,} characters, for all but {_percent(outside)}",
            gx.ExpectColumnValuesToBeBetween(column="characters", min_value=low, max_value=high, mostly=1 - outside),
        ),
        _Item("no NUL characters", "text", "none", flag("nul", value=False)),
        _Item("a signature is the first line of its text", "signature", "always", flag("signature_leads", value=True)),
        _Item(
            "sources state a licence",
            "licence",
            f"for all but {_percent(unlicensed)}",
            gx.ExpectColumnValuesToNotBeNull(column="licence", mostly=1 - unlicensed),
        ),
        _Item("few exact copies", "text", f"at most {_percent(copies)}", flag("copy", value=False, share=copies)),
    ]


def _source_suite(settings: Validate) -> list[_Item]:
    from great_expectations import expectations as gx

    return [
        _Item(
            "no source dominates",
            "source",
            f"at most {_percent(settings.max_largest_source)} of the characters each",
            gx.ExpectColumnValuesToBeBetween(column="share", min_value=0, max_value=settings.max_largest_source),
        )
    ]


def judge(rows: "pd.DataFrame", sources: "pd.DataFrame", settings: Validate) -> tuple[Expectation, ...]:
    """Judge the contract.

    Args:
        rows: per document, with the columns name (never null), id, source, group, licence, characters (null where there
            is no text), copy, nul and signature_leads.
        sources: per source, with the columns source and share (of all characters).
        settings: the bounds.

    Returns: one item per expectation, in the order of the suite; failing rows by `name`, at most 20 each.
    """
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    pandas = context.data_sources.add_pandas("memory")
    judged: list[Expectation] = []
    for table, frame, label, items in (
        ("documents", rows, "name", _row_suite(settings)),
        ("sources", sources, "source", _source_suite(settings)),
    ):
        definition = pandas.add_dataframe_asset(table).add_batch_definition_whole_dataframe("whole")
        judged += _validated(gx, definition, frame, label, items)
    return tuple(judged)


def _validated(gx: Any, definition: Any, frame: "pd.DataFrame", label: str, items: list[_Item]) -> list[Expectation]:
    for item in items:
        item.check.meta = {"name": item.name}  # results come back in another order
    suite = gx.ExpectationSuite(name="contract", expectations=[item.check for item in items])
    outcome = definition.get_batch(batch_parameters={"dataframe": frame}).validate(
        suite,
        result_format={
            "result_format": "SUMMARY",
            "unexpected_index_column_names": [label],
            "partial_unexpected_count": SHOWN,
        },
    )
    results = {result.expectation_config.meta["name"]: result for result in outcome.results}
    return [_record(item, results[item.name], label) for item in items]


def _crash(information: dict[str, Any]) -> str | None:
    """What a check said when it crashed: one entry, or one per metric that could not be computed."""
    entries = [information] if "raised_exception" in information else list(information.values())
    said = [str(entry["exception_message"]).split("\n", 1)[0] for entry in entries if entry.get("raised_exception")]
    return said[0] if said else None


def _record(item: _Item, result: Any, label: str) -> Expectation:
    values = result.result or {}
    failing = int(values.get("unexpected_count") or 0)
    if crashed := _crash(result.exception_info or {}):
        observed = f"the check itself failed: {crashed}"
    elif "observed_value" in values:
        observed = f"{int(values['observed_value']):,}"
    else:
        total = int(values.get("element_count") or 0)
        observed = f"{failing:,} of {total:,} outside ({_percent(failing / max(total, 1))})"
    names = [str(row[label]) for row in values.get("partial_unexpected_index_list") or []]
    return Expectation(
        name=item.name,
        column=item.column,
        passed=bool(result.success) and crashed is None,
        observed=observed,
        bound=item.bound,
        failing_ids=tuple(dict.fromkeys(names)) if failing else (),
        failing=failing,
    )
