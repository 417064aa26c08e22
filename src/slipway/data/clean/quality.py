"""Quality of documents by figures of their characters, words and lines, computed for many at once.

The thresholds catch what nothing can be learnt from: tables of symbols, the same line or phrase again and
again, data in the dress of text, and lines that a whole corpus shares. They follow Rae et al. 2021 (Gopher,
appendix A) in kind; the defaults are looser, because a wrong rejection costs a good document.

Characters are counted on bytes for ASCII and on code points for the rest; combining marks count as letters.
"""

import functools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slipway.data.clean.sketch import Shingles
from slipway.data.clean.words import Lines, Words, starts_of
from slipway.settings import Quality

SPACE, LETTER, SYMBOL = 0, 1, 2
SLOTS = 1 << 22
"""Places in which documents per line are counted; lines that share one are counted together."""


@dataclass(frozen=True)
class Figures:
    """One value per document; 0 where there is nothing to divide by."""

    symbol_share: np.ndarray
    """Characters that are neither letters, digits nor white space, per character that is not white space."""
    repeated_lines: np.ndarray
    """Bytes in lines that stood in the document before, per byte in lines with a word."""
    repeated_words: np.ndarray
    """Runs of five words that stood in the document before, per run."""
    word_characters: np.ndarray
    """Letters and digits per word."""


def figures(texts: Sequence[str], words: Words, lines: Lines, shingles: Shingles) -> Figures:
    """The figures of documents, whose words, lines and shingles are given."""
    letters, symbols = _characters(texts)
    runs = np.diff(shingles.starts)
    in_lines = _sums(lines.sizes, lines.starts)
    return Figures(
        _share(symbols, letters + symbols),
        _share(_repeated(lines), in_lines),
        _share(runs - np.diff(shingles.set_starts), runs),
        _share(letters, np.diff(words.starts)),
    )


def faults(found: Figures, settings: Quality) -> dict[int, tuple[str, str]]:
    """Document -> reason and detail, for those beyond a threshold; the first of several counts."""
    rules = (
        ("too many symbols", found.symbol_share, settings.max_symbol_share, "of its characters are symbols"),
        ("repeated lines", found.repeated_lines, settings.max_repeated_lines, "of it are lines that stood before"),
        ("repeated words", found.repeated_words, settings.max_repeated_words, "of its 5-word runs stood before"),
        ("overlong words", found.word_characters, settings.max_word_characters, "characters per word"),
    )
    faulty: dict[int, tuple[str, str]] = {}
    for reason, value, most, what in rules:
        for document in np.flatnonzero(value > most).tolist():
            faulty.setdefault(document, (reason, f"{value[document]:.2f} {what} > {most}"))
    return faulty


def line_slots(lines: Lines) -> np.ndarray:
    """The slot of each line, uint32 below `SLOTS`."""
    return (lines.hashes >> np.uint64(42)).astype(np.uint32)


def count_lines(slots: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slots that occur, and in how many of the documents."""
    key = np.repeat(np.arange(len(starts) - 1, dtype=np.uint64) << np.uint64(32), np.diff(starts))
    key |= slots
    found, documents = np.unique(np.unique(key).astype(np.uint32), return_counts=True)
    return found, documents


def boilerplate_share(slots: np.ndarray, sizes: np.ndarray, starts: np.ndarray, common: np.ndarray) -> np.ndarray:
    """Share of each document's bytes in lines whose slot is among `common` (sorted)."""
    if not len(common):
        return np.zeros(len(starts) - 1)
    place = np.minimum(np.searchsorted(common, slots), len(common) - 1)
    return _share(_sums(np.where(common[place] == slots, sizes, 0), starts), _sums(sizes, starts))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1)


def _sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sum of each document's values."""
    return np.diff(starts_of(values)[starts])


def _repeated(lines: Lines) -> np.ndarray:
    """Bytes of the lines that repeat an earlier line of their document."""
    documents = len(lines)
    key = np.repeat(np.arange(documents, dtype=np.uint64) << np.uint64(32), np.diff(lines.starts))
    key |= lines.hashes >> np.uint64(32)
    ordered = np.sort(key)
    twice = np.zeros(documents, bool)
    twice[(ordered[1:][ordered[1:] == ordered[:-1]] >> np.uint64(32)).astype(np.int64)] = True
    result = np.zeros(documents, np.int64)
    if twice.any():
        # Few documents repeat a line, so only theirs pay for a sort that keeps places.
        chosen = np.flatnonzero(np.repeat(twice, np.diff(lines.starts)))
        order = chosen[np.argsort(key[chosen], kind="stable")]
        again = order[1:][key[order[1:]] == key[order[:-1]]]
        np.add.at(result, (key[again] >> np.uint64(32)).astype(np.int64), lines.sizes[again])
    return result


def _characters(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Letters and digits, and symbols, of each text."""
    letters, symbols = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
    wide = []
    for index, text in enumerate(texts):
        if text.isascii():
            data = text.encode()
            letters[index] = len(data.translate(None, _NO_LETTERS))
            symbols[index] = len(data.translate(None, _NO_SYMBOLS))
        else:
            wide.append(index)
    if wide:
        codes = np.frombuffer("".join([texts[index] for index in wide]).encode("utf-32-le"), np.uint32)
        starts = starts_of(np.array([len(texts[index]) for index in wide], np.int64))
        classes = _classes()[np.minimum(codes, _BEYOND)]
        for result, value in ((letters, LETTER), (symbols, SYMBOL)):
            result[wide] = np.diff(np.searchsorted(np.flatnonzero(classes == value), starts))
    return letters, symbols


_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalnum())
_NO_SYMBOLS = bytes(code for code in range(128) if chr(code).isalnum() or code <= ord(" ") or code == 127)
_BEYOND = 0x20000  # from here on, ideographs


@functools.cache
def _classes() -> np.ndarray:
    """Code point -> SPACE, LETTER or SYMBOL, by its general category."""
    table = np.full(_BEYOND + 1, SYMBOL, np.uint8)
    for code in range(_BEYOND):
        category = unicodedata.category(chr(code))
        if category[0] in "LNM":
            table[code] = LETTER
        elif category[0] in "ZC":
            table[code] = SPACE
    table[_BEYOND] = LETTER
    return table
