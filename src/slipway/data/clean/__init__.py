"""From raw to clean: licence, length, personal data, quality, duplicates, split without leakage, decontamination.

`prepare` does it all, in that order; every document that does not make it is kept with its reason.
"""

from slipway.data.clean.prepare import prepare

__all__ = ["prepare"]
