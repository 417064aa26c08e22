"""Section `safety`: memorisation probes."""

from typing import Annotated

from pydantic import Field

from slipway.settings.base import Count, Settings


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
