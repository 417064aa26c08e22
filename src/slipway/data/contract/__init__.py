"""The data contract's facts and its page: one pass over the raw text, numbers for the judge, and the verdict to read.

The judging itself is done by an adapter (Great Expectations); `pipelines/validate.py` joins the two.
"""

from slipway.data.contract.measure import Measured, measure, quotes
from slipway.data.contract.verdict import complaint, page, report

__all__ = ["Measured", "complaint", "measure", "page", "quotes", "report"]
