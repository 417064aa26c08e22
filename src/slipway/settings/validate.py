"""Section `validate`: the data contract, which Great Expectations judges.

Every bound has a default, so the section may be as short as `validate: {}`. Shares are of documents unless said.
"""

from pydantic import Field

from slipway.settings.base import Count, Settings, Share


class Encoding(Settings):
    """Share of documents that may hold characters which seldom belong into text."""

    nul: Share = 0
    """U+0000, which ends a string in many programs."""
    bidi: Share = 0
    """U+202A to U+202E and U+2066 to U+2069, which show text in another order than it has."""
    control: Share = 0.01
    """Other control characters, except tabulator, line feed, form feed and carriage return."""
    replacement: Share = 0.01
    """U+FFFD, which stands where decoding failed."""
    private_use: Share = 0.01
    """Characters without an agreed meaning."""


class Classes(Settings):
    """Balance of the labels, among the documents that have one."""

    largest: Share = 0.95
    """Largest share that one class may have."""
    smallest: Share = 0.0
    """Smallest share that each class must have."""


class Drift(Settings):
    """Largest Jensen-Shannon distance (base 2: 0 the same, 1 nothing in common) to the baseline."""

    length: Share = 0.25
    source: Share = 0.5
    language: Share = 0.25
    licence: Share = 0.35


class Validate(Settings):
    """The data contract: bounds that Great Expectations judges; more of your own go into `expectations/`."""

    min_documents: Count = 1
    min_characters: Count = 20
    """Shortest document, in characters."""
    max_characters: Count = 200_000
    """Longest document, in characters."""
    max_outside_length: Share = 0.05
    """Share of documents that may lie outside these two bounds."""
    max_without_licence: Share = 0
    """Share of documents whose source states no licence that could be read."""
    max_largest_source: Share = 1
    """Share of the characters that one package or file may hold."""
    max_duplicate_share: Share = 0.3
    """Share of documents that may be exact copies of another."""
    min_type_token_ratio: Share = 0.1
    """Different words per 1,000 words of running text, divided by 1,000; lower means that the text repeats itself."""
    encoding: Encoding = Encoding()
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes that the text should be in; empty: languages are told and shown, but not judged."""
    max_other_language: Share = 0.05
    """Share of the documents whose language is told that may be in another."""
    classes: Classes = Classes()
    baseline: str | None = None
    """`records/validate.json` of an earlier release, which drift is measured against: a path relative to the project
    or `s3://…`; locked in `inputs.lock`."""
    drift: Drift = Drift()
    sample: int = Field(default=2000, ge=100, le=1_000_000)
    """Documents, about, whose language and words are looked at: an even choice by the hash of the id."""
