"""Strict reading of JSON: what a lenient parser would quietly accept is a finding here."""

import json
import re
from collections.abc import Iterator
from typing import Any

from slipway.records import Finding
from slipway.scan.subject import TEXT_LIMIT, Subject

DEPTH = 64
LONG = 4 << 20
"""Characters from which on a text is made narrow before it is parsed."""
_OTHER_PLANES = re.compile("(?<!\\\\)[\U00010000-\U0010ffff]")
"""Not behind a backslash: that is no escape, and must not become one."""


class DuplicateError(ValueError):
    """A key that stands twice in one object; parsers differ in which one they take."""


class ConstantError(ValueError):
    """NaN or Infinity, which JSON does not have."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise DuplicateError(f"the key {twice[:80]!r} stands twice in one object")
    return found


def _constant(name: str) -> None:
    raise ConstantError(f"{name} is not JSON")


_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
BLOCK = 1 << 20


def depth(content: bytes) -> int:
    """Deepest nesting of objects and arrays; one more than DEPTH is as far as it counts.

    Without recursion, and in blocks: a regular expression over the whole takes ten times the memory of what it reads.
    """
    deepest = level = 0
    plain, inside = content.replace(b"\\\\", b"").replace(b'\\"', b""), False
    for at in range(0, len(plain), BLOCK):
        parts = plain[at : at + BLOCK].split(b'"')
        # In UTF-8 no part of another character looks like a bracket or a quote.
        for byte in b"".join(parts[inside::2]).translate(None, _NO_BRACKETS):
            level += 1 if byte in b"[{" else -1
            if level > deepest:
                deepest = level
                if deepest > DEPTH:
                    return deepest
        inside ^= len(parts) % 2 == 0
    return deepest


def load(text: str) -> Any:
    """Parse strictly; raises ValueError (DuplicateError, ConstantError, JSONDecodeError) or RecursionError."""
    return json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)


def _decode(content: bytes) -> str:
    """Text of a JSON file; raises _FaultError `encoding` or `depth`."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _FaultError("encoding", f"is not UTF-8: {error.reason}", error.start) from None
    if text.startswith("\ufeff"):
        raise _FaultError("encoding", "begins with a byte order mark", 0)
    if (content.count(b"[") + content.count(b"{")) > DEPTH and depth(content) > DEPTH:
        raise _FaultError("depth", f"is nested more than {DEPTH} deep")
    return text


class _FaultError(Exception):
    """What is wrong with a file: rule, reason, offset."""

    def __init__(self, what: str, reason: str, offset: int | None = None) -> None:
        super().__init__(reason)
        self.what, self.reason, self.offset = what, reason, offset


def _narrow(text: str) -> str:
    """The same document with the characters of other planes (emoji) as escapes.

    A single one makes every character of a text take four bytes, and the tokenizer of a large model has 36 million.
    """
    if len(text) < LONG or not _OTHER_PLANES.search(text):
        return text
    return _OTHER_PLANES.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _load(content: bytes) -> Any:
    text = _narrow(_decode(content))
    try:
        return load(text)
    except DuplicateError as error:
        raise _FaultError("duplicate", str(error)) from None
    except ConstantError as error:
        raise _FaultError("constant", str(error)) from None
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode()) if len(text) < LONG else None
        raise _FaultError("syntax", f"is not JSON: {error.msg}", offset) from None
    except (ValueError, RecursionError) as error:
        raise _FaultError("syntax", f"cannot be read as JSON: {error}") from None


def parse(subject: Subject, rule: str = "json", limit: int = TEXT_LIMIT) -> tuple[Any, list[Finding]]:
    """Read a JSON file: (value, findings); the value is None if there is a finding.

    Findings: `<rule>.size`, `.encoding`, `.depth`, `.duplicate`, `.constant`, `.syntax`.
    """
    try:
        if subject.size > limit:
            raise _FaultError("size", f"has {subject.size} bytes; at most {limit} are read")
        return _load(subject.content), []
    except _FaultError as fault:
        remedy = "write the file again with an ordinary JSON writer"
        return None, [subject.finding(f"{rule}.{fault.what}", fault.reason, remedy, fault.offset)]


def nodes(value: Any, where: str = "", skipped: Any = None) -> Iterator[tuple[str, str, Any]]:
    """(dotted path, key, value) of every member of every object in `value`, at any depth, but not in `skipped`."""
    waiting = [(where, value)]
    while waiting:
        path, here = waiting.pop()
        if here is skipped and here is not None:
            continue
        if isinstance(here, dict):
            for key, child in here.items():
                below = f"{path}.{key}" if path else key
                yield below, key, child
                waiting.append((below, child))
        elif isinstance(here, list):
            waiting += [
                (f"{path}[{index}]", child) for index, child in enumerate(here) if isinstance(child, dict | list)
            ]
