"""Reports of the data half, `acquire` to `tokenize`: what each stage found, as typed values."""

from typing import Literal

from slipway.records.base import Record


class SourceRecord(Record):
    """One origin of documents: a package at a version, or a set of files."""

    source: str
    """Name in the recipe; documents carry it with the package, e.g. `pydocs/numpy`."""
    kind: str
    location: str
    """As the recipe states it: a path, `s3://…`, `hf://…`, or the package index."""
    version: str | None
    """Version of a package, commit of a hub repository; None for files that have neither."""
    licence: str | None
    """SPDX expression as the origin states it; None if it states none that can be read."""
    licence_evidence: str
    """Where the statement was found."""
    files: int
    digest: str
    """sha256 over the sorted lines `<sha256>  <path>` of its files."""
    documents: int
    characters: int


class BaseRecord(Record):
    """Weights that training may start or learn from, as fetched, checked and scanned."""

    location: str
    version: str | None
    """Commit of a hub repository, or version and manifest digest of a release; None for files that have neither."""
    licence: str
    digest: str
    """sha256 over the sorted lines `<sha256>  <path>` of its files."""
    files: int
    bytes: int


class TaskRecord(Record):
    """A task file as fetched and checked."""

    name: str
    location: str
    licence: str
    digest: str
    """sha256 of the file."""
    items: int


class AcquireReport(Record):
    """What was fetched."""

    sources: tuple[SourceRecord, ...]
    documents: int
    characters: int
    shards: int
    """Files of `data/raw`."""
    shapes: dict[str, int]
    """text, chat, completion, preference: to number of documents."""
    skipped: dict[str, int]
    """Reason to number of files or objects left out while reading."""
    base: BaseRecord | None = None
    teacher: BaseRecord | None = None
    tasks: tuple[TaskRecord, ...] = ()


class Expectation(Record):
    """One line of the data contract and its verdict."""

    name: str
    column: str | None
    status: Literal["met", "not met", "not run"]
    observed: str
    """The observed value, in words; for `not run`, the reason."""
    bound: str
    failing_ids: tuple[str, ...]
    """Ids of failing rows, at most 20."""
    failing: int

    @property
    def passed(self) -> bool:
        """True only if it was run and met."""
        return self.status == "met"


class ValidateReport(Record):
    """The verdict on the raw data."""

    passed: bool
    """Every expectation that was run is met, and there is at least one."""
    documents: int
    expectations: tuple[Expectation, ...]
    statistics: dict[str, float]
    """Named figures of the one pass over the data."""
    length_histogram: tuple[tuple[int, int], ...]
    """Lower edge in characters and number of documents."""
    characters_by_source: dict[str, int]
    documents_by_licence: dict[str, int]
    """SPDX expression, or `none`, to documents."""
    characters_by_language: dict[str, int]
    """ISO 639-1 code, or `unknown`, to characters of the documents whose language was looked at."""
    language_method: str
    """What told the languages, and on how many documents."""
    documents_by_label: dict[str, int]
    """Empty if no source has labels."""
    baseline_sha256: str | None
    """Digest of the earlier release's record that drift was measured against."""
    drift: dict[str, float]
    """length, source, language, licence: Jensen-Shannon distance to the baseline, 0 to 1."""


class Obligation(Record):
    """What one licence of the kept documents asks of whoever releases the model."""

    licence: str
    """SPDX id, with its exception if it has one."""
    category: str
    """As the licence index classes it: Permissive, Copyleft, Public Domain, …"""
    asks: tuple[str, ...]
    """attribution, notice, share alike, no commercial use, no derivatives, …"""
    sources: tuple[str, ...]
    documents: int


class ContaminationHit(Record):
    """A training or validation document that was rejected because it holds an item."""

    item: str
    """`<set>/<item>`: the set is a task file's name, `test` or `validation`."""
    document: str
    coverage: float
    """Share of the item's runs of words found in the document; for a near duplicate, the Jaccard index."""
    how: Literal["words", "near duplicate"]


class Contamination(Record):
    """Training and validation data against the very items that evaluation and gate use."""

    words: int
    """Length of a run."""
    coverage: float
    """Threshold above which a document was rejected."""
    items: dict[str, int]
    """Set to number of items looked for."""
    too_short: dict[str, int]
    """Set to items too short to be looked for."""
    documents_rejected: int
    hits: tuple[ContaminationHit, ...]
    """At most 50, strongest first; all are in `data/rejects/contamination.parquet`."""
    residual: dict[str, float]
    """Set to the share of its words that lie in runs which the kept training documents hold too."""


class Similarity(Record):
    """How near duplicates were looked for and what was found."""

    duplicate_jaccard: float
    family_jaccard: float
    bands: int
    rows: int
    """Hash values per band."""
    found_share: float
    """Probability that a pair exactly at the lower threshold is compared at all."""
    candidate_pairs: int
    similar_pairs: int
    """Pairs at or above the lower threshold by the exact Jaccard index."""


class PrepareReport(Record):
    """Counts of cleaning and splitting; `documents_in` = sum of `splits` + sum of `rejects`."""

    documents_in: int
    splits: dict[str, int]
    """Documents in train, validation and test, without canaries."""
    split_characters: dict[str, int]
    rejects: dict[str, int]
    """Reason to number."""
    rejects_by_step: dict[str, int]
    """licence, length, text, personal data, quality, exact duplicates, near duplicates, split, decontamination: to
    number."""
    redactions: dict[str, int]
    """Kind of personal data to number of replacements."""
    licences: dict[str, int]
    """SPDX id to number of documents kept."""
    licences_refused: dict[str, int]
    """Source to number of documents refused for their licence."""
    obligations: tuple[Obligation, ...]
    release_licence: str
    """SPDX expression of the release, which every licence above permits."""
    documents_by_source: dict[str, int]
    characters_by_source: dict[str, int]
    shapes: dict[str, int]
    families: int
    """Groups of similar documents among those kept."""
    similarity: Similarity
    contamination: Contamination
    canaries: int
    """Canary documents added to the training split, repeats included."""
    cleaned: int = 0
    """Documents from which control characters or direction marks were taken out, rejects of later steps included."""


class TokenizeReport(Record):
    """Tokenizer and packed tokens."""

    origin: Literal["trained", "base"]
    vocabulary: int
    dtype: Literal["uint16", "uint32"]
    shards: dict[str, int]
    """Split to number of files."""
    tokens: dict[str, int]
    """Split to tokens, separators included."""
    documents: dict[str, int]
    bytes: dict[str, int]
    """Split to UTF-8 bytes of text."""
    learnt: dict[str, int]
    """Split to tokens that count in the loss: all of plain text, the assistant's turns of a conversation."""
    packing: Literal["stream", "whole"]
    padding: dict[str, float]
    """Split to the share of row places that hold padding."""
    tokenizer_sha256: str
    chat_template_sha256: str | None
    """Digest of the template that conversations were rendered with; evaluation and bundle must match it."""
