"""Section `prepare`: what may enter the training data, and how it is split."""

from typing import Annotated, Literal

from pydantic import Field

from slipway.settings.base import Count, Settings, Share

Action = Literal["redact", "drop", "fail"]


class Pii(Settings):
    """What happens to a document in which a pattern is found: redact, drop or fail the stage."""

    email: Action = "redact"
    phone: Action = "redact"
    card: Action = "redact"
    """Payment card numbers with a correct check digit."""
    iban: Action = "redact"
    ssn: Action = "redact"
    """United States social security numbers."""
    ip: Action = "redact"
    secret: Action = "drop"  # noqa: S105 - an action, not a password
    """Keys and tokens in the shape of a known issuer."""


class Quality(Settings):
    """Thresholds beyond which a document is rejected as of too little use to learn from."""

    max_symbol_share: Share = 0.6
    """Characters that are neither letters, digits nor white space, per character that is not white space."""
    max_repeated_lines: Share = 0.5
    """Characters in lines that stood in the document before."""
    max_repeated_words: Share = 0.6
    """Runs of five words that stood in the document before."""
    max_boilerplate: Share = 0.9
    """Characters in lines that stand in `boilerplate_documents` documents or more."""
    boilerplate_documents: Count = 1000
    max_word_characters: Annotated[float, Field(gt=0)] = 30.0
    """Mean length of a word."""


class Decontaminate(Settings):
    """When a training document counts as having seen a held-out one, or an item of a task file."""

    words: Annotated[int, Field(ge=5)] = 13
    """Length of the runs of words that are looked for; a shorter item is looked for as a whole."""
    coverage: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of an item's runs in one training document that makes it contaminated."""


class Canaries(Settings):
    """Random strings planted in the training split, so that memorisation can be measured."""

    repeats: tuple[Count, ...] = (1, 4, 16)
    """How often each canary of a level is repeated."""
    per_level: Annotated[int, Field(ge=0)] = 3
    """Canaries per level; 0 plants none."""


class Prepare(Settings):
    """Cleaning and splitting."""

    licences: Annotated[tuple[str, ...], Field(min_length=1)]
    """SPDX ids that may enter the training data."""
    min_characters: Count
    """Shorter documents are rejected."""
    max_characters: Count
    """Longer documents are rejected."""
    quality: Quality = Quality()
    duplicate_jaccard: Annotated[float, Field(ge=0.3, le=1)]
    """Documents at least this similar (Jaccard of word 5-shingles), directly or through others, are duplicates;
    one of them is kept."""
    family_jaccard: Annotated[float, Field(ge=0.5, le=1)]
    """A training document at least this similar to a held-out one is rejected; below 0.5 MinHash finds too few."""
    decontaminate: Decontaminate = Decontaminate()
    validation_share: Annotated[float, Field(gt=0, lt=0.5)]
    """Share of the groups, by a hash of seed and group alone: a document never changes side."""
    test_share: Annotated[float, Field(gt=0, lt=0.5)]
    pii: Pii = Pii()
    canaries: Canaries = Canaries()
