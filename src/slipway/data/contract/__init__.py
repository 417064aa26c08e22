"""The data contract: its lines, one pass that measures what they ask, the verdict to read, and every row's own.

The judging itself is done by an adapter (Great Expectations); `pipelines/validate.py` joins the two.
"""

from slipway.data.contract.database import opened
from slipway.data.contract.drift import Baseline, baseline
from slipway.data.contract.line import Line
from slipway.data.contract.measure import Measured, measure
from slipway.data.contract.own import Own, own
from slipway.data.contract.page import page
from slipway.data.contract.rows import quotes, write_rows
from slipway.data.contract.shape import shard_columns
from slipway.data.contract.suite import columns_in_words, suite
from slipway.data.contract.verdict import broken_shape, complaint, report, shard_table, tables

__all__ = [
    "Baseline",
    "Line",
    "Measured",
    "Own",
    "baseline",
    "broken_shape",
    "columns_in_words",
    "complaint",
    "measure",
    "opened",
    "own",
    "page",
    "quotes",
    "report",
    "shard_columns",
    "shard_table",
    "suite",
    "tables",
    "write_rows",
]
