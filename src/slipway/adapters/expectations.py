"""Great Expectations as the judge of the data contract.

It gets small tables (columns per shard; one row of figures; one row with the share of documents that break each
line) and, for every line, an expectation with the bounds; what it answers is the verdict. Its aggregates are used,
because they fail for a missing value, where its row-wise expectations skip it. A check that crashes is not met.

An ephemeral context, no actions, no data docs, no progress bars and no usage statistics: nothing is kept and nothing
is sent. Importing it costs more than judging, and most of that are things which the contract never uses; see
`_lean_import`.
"""

import importlib
import logging
import os
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

_ABSENT = ("boto3", "botocore", "psycopg2", "rfc3987_syntax", "sqlalchemy")
"""What Great Expectations and its libraries use if they find it."""
_LATER = ("altair", "scipy.stats")
"""What they import at once and use for charts and distribution tests alone."""


class Asked(Protocol):
    """One line of the contract, as far as the judge needs to know it."""

    @property
    def name(self) -> str: ...
    @property
    def table(self) -> str: ...
    @property
    def figure(self) -> str:
        """Column of the table."""

    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def allowed(self) -> tuple[str, ...] | None: ...


class Answer(NamedTuple):
    """What the judge says to one line."""

    met: bool
    crashed: str | None
    """What it said when it crashed; then it is not met."""


class _Later(types.ModuleType):
    """Stands for a module until something of it is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _lean_import() -> Iterator[None]:
    """While it lasts, optional libraries look as if they were not installed, and others load when they are used.

    Afterwards all are importable as ever; what is loaded already is left alone.
    """
    placed: dict[str, types.ModuleType | None] = {name: None for name in _ABSENT if name not in sys.modules}
    placed |= {name: _Later(name) for name in _LATER if name not in sys.modules}
    sys.modules.update(placed)  # type: ignore[arg-type]  # None is Python's own mark for "not importable"
    try:
        yield
    finally:
        for name, module in placed.items():
            if name in sys.modules and sys.modules[name] is module:
                del sys.modules[name]


def _library() -> Any:
    """Great Expectations, quiet."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    if "great_expectations" in sys.modules:
        import great_expectations as gx
    else:
        with _lean_import():
            import great_expectations as gx
            import great_expectations.expectations
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    return gx


def _expectations(gx: Any, line: Asked) -> list[Any]:
    make, column = gx.expectations, line.figure
    found = []
    if line.allowed is not None:
        found.append(make.ExpectColumnDistinctValuesToBeInSet(column=column, value_set=list(line.allowed)))
    if line.low is not None:
        found.append(make.ExpectColumnMinToBeBetween(column=column, min_value=line.low))
    if line.high is not None:
        found.append(make.ExpectColumnMaxToBeBetween(column=column, max_value=line.high))
    for expectation in found:
        expectation.meta = {"name": line.name}  # results come back in another order
    return found


def judge(tables: Mapping[str, Mapping[str, Sequence[Any]]], asked: Sequence[Asked]) -> dict[str, Answer]:
    """Judge the contract.

    Args:
        tables: name -> column -> values.
        asked: the lines, each about one column of one table: `allowed` are all values it may have, `low` and
            `high` bound every value; names differ.

    Returns: line -> answer; a line without a bound, a column that is missing and a value that is missing are not met.
    """
    gx = _library()
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    pandas = context.data_sources.add_pandas("memory")
    answers: dict[str, Answer] = {}
    for table, columns in tables.items():
        lines = [line for line in asked if line.table == table]
        try:
            answers |= _validated(gx, pandas, table, columns, lines) if lines else {}
        except Exception as error:  # noqa: BLE001  whatever breaks inside the judge, the data is not judged good
            answers |= {line.name: Answer(met=False, crashed=f"{type(error).__name__}: {error}") for line in lines}
    unheard = Answer(met=False, crashed="the judge gave no answer")
    return {line.name: answers.get(line.name, unheard) for line in asked}


def _validated(
    gx: Any, pandas: Any, table: str, columns: Mapping[str, Sequence[Any]], lines: Sequence[Asked]
) -> dict[str, Answer]:
    import pandas as pd

    frame = pd.DataFrame({name: list(values) for name, values in columns.items()})
    made = {line.name: _expectations(gx, line) for line in lines}
    suite = gx.ExpectationSuite(name=table, expectations=[e for expectations in made.values() for e in expectations])
    definition = pandas.add_dataframe_asset(table).add_batch_definition_whole_dataframe("whole")
    batch = definition.get_batch(batch_parameters={"dataframe": frame})
    heard: dict[str, list[Answer]] = {line.name: [] for line in lines}
    for result in batch.validate(suite, result_format="BASIC").results:
        crashed = _crash(result.exception_info or {})
        met = bool(result.success) and crashed is None
        heard[result.expectation_config.meta["name"]].append(Answer(met, crashed))
    return {
        name: Answer(all(a.met for a in found), next((a.crashed for a in found if a.crashed), None))
        for name, found in heard.items()
        if found and len(found) == len(made[name])
    }


def _crash(information: dict[str, Any]) -> str | None:
    """What a check said when it crashed: one entry, or one per metric that could not be computed."""
    entries = [information] if "raised_exception" in information else list(information.values())
    said = [str(entry["exception_message"]).split("\n", 1)[0] for entry in entries if entry.get("raised_exception")]
    return said[0] if said else None
