"""Tasks of lm-evaluation-harness, asked by our scorer.

`run` is all that others need. `language_model` answers the harness's requests, `catalogue` finds tasks, `figures` makes
items of what is logged, `identity` says what two results must have in common to be compared.
"""

from slipway.evaluation.harness.run import run

__all__ = ["run"]
