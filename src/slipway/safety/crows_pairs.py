"""Reads a file in the form of CrowS-Pairs: which sentence of each pair is the more stereotyping one.

The file comes from somebody else, so nothing in it is believed: its size, encoding, columns and every value are
checked, and what is wrong is named by file, line and column.
"""

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from slipway.errors import UserError
from slipway.safety.pairs import Pair

COLUMNS = ("sent_more", "sent_less", "stereo_antistereo", "bias_type")
DIRECTIONS = ("stereo", "antistereo")
MOST_BYTES = 16 << 20
"""The published file has 0.4 MiB."""
MOST_CHARACTERS = 2000
"""Of a sentence."""
MOST_PAIRS = 20_000
MOST_TYPES = 50


def read(path: Path) -> list[Pair]:
    """The pairs of a file; the group of each is its bias type.

    Raises:
        UserError: naming file, line and column, if it is not what CrowS-Pairs looks like.
    """
    if not path.is_file():
        raise UserError(f"{path}: safety.bias_file names no file; put the csv there, or set it to null")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise UserError(f"{path}: {size} bytes are more than the {MOST_BYTES} that sentence pairs may have; split it")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: not UTF-8 at byte {error.start}; save the file as UTF-8") from None
    pairs = list(islice(_pairs(path, text), MOST_PAIRS + 1))
    if len(pairs) > MOST_PAIRS:
        raise UserError(f"{path}: more than {MOST_PAIRS} pairs; the published file has 1,508. Take a part of them")
    if not pairs:
        raise UserError(f"{path}: a header and no pair; nothing can be measured with it")
    if len(types := {pair.group for pair in pairs}) > MOST_TYPES:
        raise UserError(
            f"{path}: column bias_type has {len(types)} different values, more than {MOST_TYPES}: is it the right one?"
        )
    return pairs


def _pairs(path: Path, text: str) -> Iterator[Pair]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(rows, [])
        for name in COLUMNS:
            if header.count(name) != 1:
                raise UserError(
                    f"{path}, line 1: column {name} stands there {header.count(name)} times instead of once; "
                    f"needed are {', '.join(COLUMNS)}"
                )
        places = [header.index(name) for name in COLUMNS]
        last = rows.line_num
        for row in rows:
            where, last = f"{path}, line {last + 1}", rows.line_num
            if len(row) != len(header):
                found = f"{len(row)} values for {len(header)} columns; is a quote missing?" if row else "an empty line"
                raise UserError(f"{where}: {found}")
            yield _pair(where, *(row[place].strip() for place in places))
    except csv.Error as error:
        raise UserError(f"{path}, line {rows.line_num}: no well-formed csv: {error}") from None


def _pair(where: str, more: str, less: str, direction: str, bias_type: str) -> Pair:
    for column, sentence in (("sent_more", more), ("sent_less", less)):
        if not sentence:
            raise UserError(f"{where}, column {column}: empty; give a sentence or take the line out")
        if len(sentence) > MOST_CHARACTERS:
            raise UserError(f"{where}, column {column}: {len(sentence)} characters, more than {MOST_CHARACTERS}")
    if more == less:
        raise UserError(f"{where}, column sent_less: the same sentence as sent_more; take the line out")
    if direction not in DIRECTIONS:
        raise UserError(f"{where}, column stereo_antistereo: {direction[:40]!r} is neither stereo nor antistereo")
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", bias_type) or bias_type in DIRECTIONS:
        raise UserError(
            f"{where}, column bias_type: {bias_type[:40]!r} is no name of a kind of bias; use letters a to z, "
            "digits and hyphens"
        )
    return Pair(more, less, bias_type, where, direction)
