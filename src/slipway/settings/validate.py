"""Section `validate`: the data contract, which Great Expectations judges."""

from slipway.settings.base import Count, Settings, Share


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
    baseline: str | None
    """`records/validate.json` of an earlier release, which drift is measured against: a path relative to the project
    or `s3://…`; locked in `inputs.lock`."""
