"""The scrub: what becomes of a text in which the table of personal data and secrets finds something.

The recipe gives each kind an action: redact replaces a finding by `<KIND>`, drop rejects the document, fail ends the
stage. What the forms are, and what they do not find, is told in `slipway.patterns`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from slipway import patterns


class Scrubbed(NamedTuple):
    """A text after the scrub."""

    text: str
    """With every finding of a kind to redact replaced by `<KIND>`."""
    redacted: Counter[str]
    """Kind to number of replacements."""
    kept: tuple[str, ...]
    """Kinds found whose action is not redaction, in the order of `patterns.KINDS`."""


def scrub(text: str, actions: Mapping[str, str]) -> Scrubbed:
    """Look for every kind in `actions` (kind -> redact, drop or fail) and redact where that is the action."""
    kinds = tuple(actions)
    redacted: Counter[str] = Counter()
    kept: set[str] = set()
    # A replacement can bring two parts of a number together, so the outcome is looked at again.
    while found := patterns.find(text, kinds):
        kept.update(one.kind for one in found if actions[one.kind] != "redact")
        redact = [one for one in found if actions[one.kind] == "redact"]
        if not redact:
            break
        redacted.update(one.kind for one in redact)
        text = patterns.replaced(text, redact)
    return Scrubbed(text, redacted, tuple(kind for kind in patterns.KINDS if kind in kept))


def scrub_all(texts: Sequence[str], actions: Mapping[str, str]) -> dict[int, Scrubbed]:
    """Place of each text that holds something, to what `scrub` makes of it; all others stay as they are.

    It is ten times as fast as `scrub` on each of many texts, as all are first searched at once for a trace.
    """
    scrubbed = {place: scrub(texts[place], actions) for place in patterns.suspects(texts, tuple(actions))}
    return {place: result for place, result in scrubbed.items() if result.redacted or result.kept}
