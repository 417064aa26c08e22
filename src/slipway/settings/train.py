"""Section `train`: architecture, optimiser, schedule."""

from typing import Annotated, Any, Literal

from pydantic import Field

from slipway.settings.base import Count, Settings, Share


class Train(Settings):
    """Pretraining from scratch."""

    architecture: dict[str, Any]
    """Arguments of the transformers configuration class named by `model_type`."""
    sequence_length: Annotated[int, Field(ge=8)]
    """Tokens per row."""
    batch_size: Count
    """Rows per step."""
    steps: Count
    optimizer: Literal["adamw", "muon"]
    learning_rate: Annotated[float, Field(gt=0)]
    """Peak of AdamW; with Muon, of the embedding and the norms."""
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.02
    """Peak of Muon, for the hidden matrices."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    warmup_share: Share = 0.02
    """Share of the steps with a rising learning rate."""
    decay_share: Share = 0.4
    """Share of the steps, at the end, with a falling learning rate."""
    clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient."""
    validate_every: Count
    """Steps between two validations."""
    patience: Count
    """Validations without a better loss before training stops early."""
    checkpoint_every: Count
    """Steps between two checkpoints."""
    threads: Count
    """CPU threads; part of the recipe because sums depend on how they are split."""
