"""What a model learns from: the objectives of section `train`, each with its own numbers."""

from typing import Annotated, Literal

from pydantic import Field

from slipway.settings.base import Settings, Share

Positive = Annotated[float, Field(gt=0)]


class Pretrain(Settings):
    """Next-token prediction on every token; with `start: base`, continued pretraining."""

    kind: Literal["pretrain"] = "pretrain"
    document_mask: bool = False
    """Attention stays within a document, though a row holds several."""


class Sft(Settings):
    """Supervised fine-tuning: next-token prediction of the assistant's turns and of completions."""

    kind: Literal["sft"]
    document_mask: bool = True
    """Attention stays within a conversation, though a row holds several."""


class Dpo(Settings):
    """Direct preference optimisation against the starting weights (Rafailov et al., arXiv:2305.18290)."""

    kind: Literal["dpo"]
    beta: Positive = 0.1
    """Strength of the pull towards the starting weights."""
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """Share of the pairs that are taken to be the wrong way round (conservative DPO)."""


class Simpo(Settings):
    """Preference optimisation without reference weights (SimPO: Meng et al., arXiv:2405.14734)."""

    kind: Literal["simpo"]
    beta: Positive = 2.0
    """Scale of the mean log-likelihood per token."""
    margin: Annotated[float, Field(ge=0)] = 1.0
    """By how much the chosen answer should win, in units of `beta` times nats per token."""


class Distill(Settings):
    """Knowledge distillation from `acquire.teacher` (Hinton et al., arXiv:1503.02531)."""

    kind: Literal["distill"]
    temperature: Positive = 1.0
    """Both distributions are softened by it; the divergence is scaled by its square."""
    weight: Share = 0.5
    """Share of the teacher's distribution in the loss; the rest is next-token cross-entropy."""
    document_mask: bool = False
    """Attention stays within a document, though a row holds several."""


Objective = Annotated[Pretrain | Sft | Dpo | Simpo | Distill, Field(discriminator="kind")]
