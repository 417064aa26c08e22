"""The sections of the recipe as typed, frozen settings: what each number is, in which unit.

`slipway.recipe` reads them from `params.yaml`; rooms receive the section of their stage.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Settings(BaseModel):
    """Base of every section: frozen, strict about types, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class PydocsSource(Settings):
    """Docstrings and signatures of installed Python packages, read with `ast`; no package code runs."""

    kind: Literal["pydocs"]
    name: Name
    packages: Annotated[tuple[str, ...], Field(min_length=1)]
    """Distribution names as on PyPI."""
    exclude: tuple[str, ...] = ()
    """Glob patterns of paths inside the packages to leave out (tests, files generated per platform)."""


class FileSource(Settings):
    """Local files: `path` is a file, a directory or a glob, relative to the project."""

    kind: Literal["jsonl", "parquet", "text"]
    name: Name
    path: str
    licence: str
    """SPDX expression under which the text may be used, e.g. `CC-BY-4.0`."""
    text_column: str = "text"
    id_column: str | None = None
    """Column with a unique id; without it the id is made of file name and row number."""
    group_column: str | None = None
    """Rows with the same value (a conversation, a book) stay on one side of the split; default: each row alone."""


Source = Annotated[PydocsSource | FileSource, Field(discriminator="kind")]


class Acquire(Settings):
    """Where the data comes from."""

    sources: Annotated[tuple[Source, ...], Field(min_length=1)]


class Validate(Settings):
    """The data contract: bounds that Great Expectations judges."""

    min_documents: Count
    min_characters: Count
    """Shortest document, in characters."""
    max_characters: Count
    """Longest document, in characters."""
    max_outside_length: Share
    """Share of documents that may lie outside these two bounds."""
    max_without_licence: Share
    """Share of documents whose source states no licence that could be read."""
    max_largest_source: Share
    """Share of the characters that one package or file may hold."""
    max_duplicate_share: Share
    """Share of documents that may be exact copies of another."""


class Pii(Settings):
    """What happens to a document in which a pattern is found: redact, drop or fail the stage."""

    email: Literal["redact", "drop", "fail"] = "redact"
    phone: Literal["redact", "drop", "fail"] = "redact"
    card: Literal["redact", "drop", "fail"] = "redact"
    ip: Literal["redact", "drop", "fail"] = "redact"
    secret: Literal["redact", "drop", "fail"] = "drop"  # noqa: S105 - an action, not a password


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
    duplicate_jaccard: Share
    """Documents at least this similar (Jaccard of word 5-shingles) are duplicates; one is kept."""
    family_jaccard: Annotated[float, Field(ge=0.5, le=1)]
    """Documents at least this similar never straddle the split; below 0.5 MinHash finds too few of the pairs."""
    validation_share: Annotated[float, Field(gt=0, lt=0.5)]
    test_share: Annotated[float, Field(gt=0, lt=0.5)]
    pii: Pii = Pii()
    canaries: Canaries = Canaries()


class Tokenize(Settings):
    """Byte-level BPE trained on the training split."""

    vocabulary: Annotated[int, Field(ge=260)]
    """Number of tokens, special tokens and 256 bytes included."""


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


class Choice(Settings):
    """A multiple-choice task made from held-out documents."""

    items: Count
    """Questions at most."""
    choices: Annotated[int, Field(ge=2)] = 4
    prompt_tokens: Count
    """Tokens of the prompt at most."""
    answer_tokens: Count
    """Tokens of each choice at most."""


class Evaluate(Settings):
    """What is measured on the test split."""

    stride: Count
    """Tokens between two scoring windows; each token sees at least sequence_length - stride before it."""
    continuation: Choice
    signature: Choice
    bootstrap: Count = 1000
    """Resamples behind an interval of bits per byte."""


class Safety(Settings):
    """Memorisation probes."""

    fills: Annotated[int, Field(ge=100)]
    """Random fills that a canary is ranked against."""
    extraction_rows: Count
    """Training documents whose beginning is given to see if the rest comes out."""
    extraction_tokens: Count
    """Tokens given, and tokens that must be repeated exactly."""
    samples: Count
    """Free generations searched for personal data."""
    sample_tokens: Count


class Bundle(Settings):
    """What the release says of itself."""

    title: str
    summary: str
    licence: str
    """SPDX expression of the released weights."""
    language: Annotated[tuple[str, ...], Field(min_length=1)]
    """ISO 639-1 codes."""
    intended_use: str
    limitations: str


class Scan(Settings):
    """Limits of the file scan."""

    max_file_bytes: Count
    """Larger files are refused."""


class Check(Settings):
    """One line of the gate: a number in a report against a bound."""

    report: str
    """Stage whose report holds the number."""
    value: str
    """Dotted path inside the report's result; list items by index."""
    relation: Literal["below", "above", "equals"]
    bound: float | str
    """A number, or the dotted path of another value in the same report."""
    reason: str
    """Why this is asked, in words that appear in the verdict."""


class Approval(Settings):
    """Who must agree before anything is signed."""

    required: Annotated[int, Field(ge=0)] = 0
    """Approvers needed; 0 means that nobody approves, and the card says so."""
    approvers: dict[str, str] = {}
    """Name to path of the approver's public key (PEM)."""


class Release(Settings):
    """How a bundle becomes a release."""

    version: str = "auto"
    """`auto` counts up (v1, v2, …); anything else is taken as given and may be used once."""
    channel: Name = "stable"
    """Pointer that is moved to the new release."""
    expires_days: Count = 90
    """Days after which readers should refuse a channel pointer that was not renewed."""
    approval: Approval = Approval()
    gate: Annotated[tuple[Check, ...], Field(min_length=1)]
