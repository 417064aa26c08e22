"""Vocabularies of sentencepiece (`tokenizer.model`, `spiece.model`) and of tiktoken, read by their own structure.

sentencepiece writes a protocol buffer (https://github.com/google/sentencepiece, `sentencepiece_model.proto`). It is
read field by field here, because a library for it would pass over what it does not know.
"""

import base64
import binascii
import re
from collections.abc import Iterator

from slipway import patterns
from slipway.records import Finding
from slipway.scan import tokenizer
from slipway.scan.subject import TEXT_LIMIT, Subject

PIECE = 512
"""Longest piece, in bytes."""
PIECES = 1 << 22
CHARSMAP = 16 << 20
MODEL = {1: 2, 2: 2, 3: 2, 4: 2, 5: 2}
"""Field -> wire type: pieces, trainer, normalizer, tests of its own, denormalizer."""
ENTRY = {1: 2, 2: 5, 3: 0}
GIVEN = {3, 4}
"""Kinds of pieces: control, and defined by the user."""
NORMALIZER = {1: 2, 2: 2, 3: 0, 4: 0, 5: 0, 6: 2}
_URL = re.compile(rb"(?i)[a-z][a-z0-9+.-]*://[a-z0-9]|www\.[a-z0-9]+\.")
_PAGE = re.compile(rb"(?i)[a-z][a-z0-9+.-]*://[a-z0-9-]+(\.[a-z0-9-]+)+/\w")
"""An address down to a page: beginnings of addresses are in every vocabulary of texts from the web."""
_LINE = re.compile(rb"[A-Za-z0-9+/]{1,1024}={0,2} [0-9]{1,8}")
_REMEDY = "write the vocabulary again with sentencepiece"


class _FormError(Exception):
    """The bytes are no such message: reason and offset."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.reason, self.offset = reason, offset


def _number(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
        shift += 7
    raise _FormError("holds a number that does not end", at)


def _fields(data: bytes, at: int, end: int, known: dict[int, int] | None) -> Iterator[tuple[int, int, int, int]]:
    """(field, number, start, end) of the message in `data[at:end]`; `known` None takes any field below 200."""
    while at < end:
        key, behind = _number(data, at, end)
        field, wire = key >> 3, key & 7
        expected = known.get(field) if known is not None else wire if 0 < field < 200 else None
        if expected != wire:
            raise _FormError(f"holds the field {field} of kind {wire}, which is unknown", at)
        number = 0
        if wire == 0:
            number, stop = _number(data, behind, end)
        elif wire == 2:
            number, behind = _number(data, behind, end)
            stop = behind + number
        else:
            stop = behind + {1: 8, 5: 4}.get(wire, end + 1)
        if stop > end:
            raise _FormError(f"holds the field {field}, which is longer than what is left", at)
        yield field, number, behind, stop
        at = stop


def _judge_piece(subject: Subject, piece: bytes, at: int, *, given: bool) -> Iterator[Finding]:
    """`given` pieces were not found in texts, but put there by whoever trained."""
    sentence = given and tokenizer.is_prose(piece.decode("utf-8", "replace").replace("\u2581", " "))
    if len(piece) > PIECE or b"\0" in piece or sentence or (_URL if given else _PAGE).search(piece):
        yield subject.finding("tokenizer.piece", f"the piece {piece[:60]!r} is no plain piece of text", _REMEDY, at)


def _model(subject: Subject) -> Iterator[Finding]:
    data, count, parts = subject.content, 0, set()
    for field, _, start, end in _fields(data, 0, len(data), MODEL):
        if field == 1:
            count += 1
            yield from _entry(subject, start, end)
            continue
        if field in parts:
            raise _FormError(f"holds the field {field} twice", start)
        parts.add(field)
        if field == 2:
            yield from _trainer(subject, start, end)
        elif field == 4:
            yield subject.finding("tokenizer.form", "holds tests of its own, which are texts", _REMEDY, start)
        else:
            yield from _normalizer(subject, start, end)
    if not 0 < count <= PIECES or 3 not in parts:
        raise _FormError(f"holds {count} pieces{'' if 3 in parts else ' and no normalizer'}", 0)


def _entry(subject: Subject, start: int, end: int) -> Iterator[Finding]:
    piece, kind, at = b"", 1, start
    for field, number, first, last in _fields(subject.content, start, end, ENTRY):
        if field == 1:
            piece, at = subject.content[first:last], first
        elif field == 3:
            kind = number
    if not 1 <= kind <= 6:
        raise _FormError(f"holds a piece of the unknown kind {kind}", start)
    yield from _judge_piece(subject, piece, at, given=kind in GIVEN)


def _normalizer(subject: Subject, start: int, end: int) -> Iterator[Finding]:
    for field, number, first, _ in _fields(subject.content, start, end, NORMALIZER):
        if field == 6 and number:
            yield subject.finding("tokenizer.rewrite", "its normalizer has rules of its own as text", _REMEDY, first)
        if field == 2 and (number > CHARSMAP or not tokenizer.is_charsmap(subject.content[first : first + number])):
            raise _FormError(f"its normalizer has {number} bytes that are no table of characters", first)


def _trainer(subject: Subject, start: int, end: int) -> Iterator[Finding]:
    """How it was trained: no address; names of files are what trainers leave there."""
    data = subject.content
    for _, number, first, last in _fields(data, start, end, None):
        if number and (found := _URL.search(data, first, last)):
            reason = f"what it says of its training holds an address: {found[0][:40]!r}"
            yield subject.finding("tokenizer.address", reason, _REMEDY, found.start())


def _tiktoken(subject: Subject) -> Iterator[Finding]:
    at, seen = 0, set()
    for line in subject.content.splitlines(keepends=True):
        plain = line.rstrip(b"\r\n")
        if not _LINE.fullmatch(plain):
            raise _FormError(f"holds {plain[:40]!r} where a token and its number are expected", at)
        try:
            piece = base64.b64decode(plain.split(b" ")[0], validate=True)
        except binascii.Error:
            raise _FormError(f"holds {plain[:40]!r}, which is not base64", at) from None
        if piece in seen:
            raise _FormError(f"gives {piece[:40]!r} two numbers", at)
        seen.add(piece)
        yield from _judge_piece(subject, piece, at, given=False)
        at += len(line)


def _secrets(subject: Subject) -> Iterator[Finding]:
    """Any byte is a character here, so that places are those in the file."""
    content = subject.content.decode("latin-1")
    for words, start, end in patterns.secrets(content):
        reason = f"holds what looks like {words} ({content[start:end][:4]}…)"
        yield subject.finding("text.secret", reason, "remove it here and make it invalid where it was issued", start)


def check(subject: Subject) -> Iterator[Finding]:
    """Findings `tokenizer.*`: form, piece, rewrite, address."""
    if subject.size > TEXT_LIMIT:
        yield subject.finding("tokenizer.form", f"has {subject.size} bytes; at most {TEXT_LIMIT} are read", _REMEDY)
        return
    try:
        yield from _secrets(subject)
        yield from _model(subject) if subject.content[:1] == b"\x0a" else _tiktoken(subject)
    except _FormError as error:
        reason = f"is neither a model of sentencepiece nor a vocabulary of tiktoken: it {error.reason}"
        yield subject.finding("tokenizer.form", reason, _REMEDY, error.offset)
