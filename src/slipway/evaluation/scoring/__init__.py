"""Scoring: rows of tokens (`rows`) and the model that scores and continues them (`scorer`).

Below the scorer: `batches` deals out rows, `forward` feeds them, `decoding` continues prompts, `journal` keeps what is
finished, `group` joins several processes.
"""

from slipway.evaluation.scoring.sampling import Sampling
from slipway.evaluation.scoring.scorer import Scorer

__all__ = ["Sampling", "Scorer"]
