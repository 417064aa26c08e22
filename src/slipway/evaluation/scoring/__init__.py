"""Scoring: rows of tokens (`rows`) and the model that scores and continues them (`scorer`)."""

from slipway.evaluation.scoring.scorer import Scorer

__all__ = ["Scorer"]
