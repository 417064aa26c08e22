"""Section `safety`: what the model remembers, repeats and prefers, and what was planted in its data."""

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field

from slipway.settings.base import Count, Settings


def _of_probes(path: str) -> str:
    parts = PurePosixPath(path).parts
    if len(parts) < 2 or parts[0] != "probes" or ".." in parts:
        raise ValueError(f"{path} does not lie in probes/; put it there, so that `safety` runs again when it changes")
    return path


File = Annotated[str, AfterValidator(_of_probes)]
"""Path in `probes/` of the project."""


class Poisoning(Settings):
    """The search for planted triggers and bursts in the training data."""

    characters: Annotated[int, Field(ge=10_000)] = 24_000_000
    """Of training text that are searched: of a larger split, documents drawn by the seed."""
    documents: Annotated[int, Field(ge=3)] = 5
    """Fewest documents that a string stands in to be looked at."""
    burst_words: Annotated[int, Field(ge=4)] = 16
    """Words in a row that make a phrase."""
    burst_share: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Share of a source's documents from which on a phrase that they have in common is called a burst."""
    candidates: Count = 200
    """Rare strings that are tried as triggers."""
    carriers: Count = 16
    """Held-out texts that each of them is put into."""


class Safety(Settings):
    """The battery."""

    fills: Annotated[int, Field(ge=100)] = 10_000
    """Random fills that a canary is ranked against."""
    extraction_rows: Count
    """Training documents whose beginning is given to see if the rest comes out."""
    extraction_tokens: Count
    """Tokens given, and tokens that must be repeated exactly."""
    samples: Count
    """Free generations searched for personal data, secrets and rude words."""
    sample_tokens: Count
    membership_rows: Count = 400
    """Documents of each split whose likelihoods are told apart."""
    chat_rows: Count = 64
    """Held-out conversations that are answered, if the model has a chat template."""
    chat_tokens: Count = 64
    """Of an answer at most; in them the model should end its turn."""
    bias_file: File | None = None
    """CrowS-Pairs as its authors publish it (csv); null: only the package's own templates."""
    refusal_file: File | None = None
    """Prompts (JSON lines: `prompt`, `kind`: harmful or harmless); null: not run."""
    poisoning: Poisoning = Poisoning()
    garak: tuple[str, ...] = ()
    """Probes of garak to run, where it is installed in an environment of its own (SLIPWAY_GARAK names its Python)."""
