"""What a document must be to stay by itself: licence, length, characters, personal data, quality, in this order.

Licence comes first so that of several copies one stays that may be used; the scrub comes before whatever
compares, so that texts are compared as they will be trained on. The text of every reject is kept for people to
look at, scrubbed of whatever is personal.

Characters: NUL and other control characters (but tab, line feed, carriage return, form feed) and the marks
that turn the direction of writing (which can show a reader another text than a model learns) are taken
out; a document in which they are more than one in ten is binary data and rejected.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from slipway.data.clean import quality
from slipway.data.clean.licences import AllowList
from slipway.data.clean.pii import Scrubbed, scrub, scrub_all
from slipway.data.clean.rows import Reject
from slipway.data.clean.sketch import Shingles
from slipway.data.clean.words import Lines, Words
from slipway.data.documents import BETWEEN, Document, Turn, dumped, loaded, text_of
from slipway.patterns import KINDS, find
from slipway.settings import Prepare

if TYPE_CHECKING:
    import pyarrow as pa

_BINARY = 0.1
_HIDDEN = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069]")
_HIDDEN_ASCII = bytes(code for code in range(128) if _HIDDEN.match(chr(code)))


class Filters:
    """The rules of the recipe, and the rejects and counts of the documents that went through them."""

    def __init__(self, settings: Prepare) -> None:
        self.settings = settings
        self.rejects: list[Reject] = []
        self.refused: Counter[str] = Counter()
        """Source to documents refused for their licence."""
        self.cleaned = 0
        """Documents from which hidden characters were taken out."""
        self.redactions: Counter[str] = Counter()
        self.failing: dict[str, list[str]] = {}
        """Kind of personal data that must not be there to ids of documents that hold it."""
        self._actions = settings.pii.model_dump()
        self._redact_all = dict.fromkeys(self._actions, "redact")
        self._allow = AllowList(settings.licences)

    def _reject(self, row: Document, stage: str, reason: str, detail: str) -> None:
        self.rejects.append(Reject(row.id, stage, reason, detail, None, row.text))

    def admit(self, batch: "pa.RecordBatch") -> list[Document]:
        """The rows whose licence and length are right, without hidden characters and personal data."""
        first = len(self.rejects)
        rows = [visible for row in self._allowed(batch) if (visible := self._visible(row)) is not None]
        kept = self._scrubbed(rows)
        self._clean_rejects(first)
        return kept

    def _clean_rejects(self, first: int) -> None:
        """Redact the rejects from `first` on, which were not scrubbed yet, in all that their source wrote."""
        for column in ("text", "detail"):
            # A hidden character must not hide an address that is none without it.
            fresh = [_shown(getattr(reject, column)) for reject in self.rejects[first:]]
            for place, found in scrub_all(fresh, self._redact_all).items():
                self.rejects[first + place] = self.rejects[first + place]._replace(**{column: found.text})

    def _allowed(self, batch: "pa.RecordBatch") -> list[Document]:
        import pyarrow as pa
        import pyarrow.compute as pc

        licences = batch.column("licence").dictionary_encode()
        verdicts = [self._allow.passes(licence) for licence in licences.dictionary.to_pylist()]
        known = licences.indices.fill_null(len(verdicts)).to_numpy(zero_copy_only=False)
        passes = np.array([*verdicts, False])[known]
        lengths = pc.utf8_length(batch.column("text")).to_numpy(zero_copy_only=False)
        low, high = self.settings.min_characters, self.settings.max_characters
        keep = passes & (lengths >= low) & (lengths <= high)
        gone = np.flatnonzero(~keep)
        for index, row in zip(gone.tolist(), _rows(batch.take(pa.array(gone))), strict=True):
            if not passes[index]:
                self.refused[row.source] += 1
                reason = "no licence" if row.licence is None else "licence not allowed"
                self._reject(row, "licence", reason, row.licence or "the source states none that could be read")
            elif lengths[index] < low:
                self._reject(row, "length", "too short", f"{lengths[index]} < {low} characters")
            else:
                self._reject(row, "length", "too long", f"{lengths[index]} > {high} characters")
        return _rows(batch.filter(pa.array(keep)))

    def _visible(self, row: Document) -> Document | None:
        if not (hidden := _hidden(row.text)):
            return row
        if hidden > _BINARY * len(row.text):
            self._reject(row, "text", "binary data", f"{hidden} of {len(row.text)} characters are control characters")
            return None
        self.cleaned += 1
        if row.turns is not None:
            return _with_turns(row, [Turn(role, _HIDDEN.sub("", content)) for role, content in loaded(row.turns)])
        return _with_text(row, _HIDDEN.sub("", row.text))

    def _scrubbed(self, rows: list[Document]) -> list[Document]:
        labelled = [place for place, row in enumerate(rows) if row.label]
        labels = scrub_all([rows[place].label or "" for place in labelled], self._actions)
        in_labels = {labelled[number]: result for number, result in labels.items()}
        in_texts = scrub_all([row.text for row in rows], self._actions)
        kept = []
        for place, row in enumerate(rows):
            if place not in in_texts and place not in in_labels:
                kept.append(row)
            elif (clean := self._scrub(row, in_texts.get(place), in_labels.get(place))) is not None:
                kept.append(clean)
        return kept

    def _scrub(self, row: Document, text: Scrubbed | None, label: Scrubbed | None) -> Document | None:
        clean, parts = row, [label] if label else []
        across: set[str] = set()
        if label:
            clean = clean._replace(label=label.text)
        if text and row.turns is None:
            clean = _with_text(clean, text.text)
            parts.append(text)
        elif text and row.turns is not None:
            turns = [(role, scrub(content, self._actions)) for role, content in loaded(row.turns)]
            clean = _with_turns(clean, [Turn(role, result.text) for role, result in turns])
            parts += [result for _, result in turns]
            across = _across_turns(row, tuple(self._actions))
            across |= {one.kind for one in find(clean.text, tuple(self._actions))}
        kept = [kind for kind in KINDS if kind in across or any(kind in part.kept for part in parts)]
        for kind in kept:
            if self._actions[kind] == "fail":
                self.failing.setdefault(kind, []).append(row.id)
        if kept:
            self._reject(row, "personal data", f"personal data: {kept[0]}", ", ".join(kept))
            return None
        for part in parts:
            self.redactions += part.redacted
        return clean

    def good(self, rows: Sequence[Document], words: Words, lines: Lines, shingles: Shingles) -> np.ndarray | None:
        """Bool per row: whether its quality is good enough; None if that of all is."""
        figures = quality.figures([row.text for row in rows], words, lines, shingles)
        faulty = quality.faults(figures, self.settings.quality)
        for index, (reason, detail) in faulty.items():
            self._reject(rows[index], "quality", reason, detail)
        return np.array([index not in faulty for index in range(len(rows))]) if faulty else None


def _rows(batch: "pa.RecordBatch") -> list[Document]:
    columns = [batch.column(name).to_pylist() for name in Document._fields]
    return [Document._make(values) for values in zip(*columns, strict=True)]


def _hidden(text: str) -> int:
    """Hidden characters in the text."""
    if text.isascii():
        return len(text) - len(text.encode().translate(None, _HIDDEN_ASCII))
    return len(_HIDDEN.findall(text))


def _shown(text: str) -> str:
    """The text without hidden characters."""
    return _HIDDEN.sub("", text) if _hidden(text) else text


def _across_turns(row: Document, kinds: tuple[str, ...]) -> set[str]:
    """Kinds of what stretches over two turns: it stands whole in neither, so neither can be mended."""
    sizes = (len(content) + len(BETWEEN) for _, content in loaded(row.turns or "[]"))
    begins = list(accumulate(sizes))
    return {one.kind for one in find(row.text, kinds) if any(one.start < begin < one.end for begin in begins)}


def _with_text(row: Document, text: str) -> Document:
    """The row with its cleaned text; the signature stays the first line of it."""
    return row._replace(text=text, signature=None if row.signature is None else text.split("\n", 1)[0])


def _with_turns(row: Document, turns: list[Turn]) -> Document:
    return row._replace(text=text_of(turns), turns=dumped(turns))
