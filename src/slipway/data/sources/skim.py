r"""Python source without the bodies of its functions, for a reader who wants names, signatures and docstrings only.

Parsing is most of the work of reading docstrings, and half of what is parsed are bodies that nobody looks at. `skim`
cuts them out by lexical rules alone (strings, comments, brackets, indentation: The Python Language Reference, chapter
2); what stays is Python with the same modules, classes, functions, signatures and docstrings. It is careful rather
than complete: what it is not sure of stays as it is, and where its reading does not come out even it gives up. A cut
in the middle of a statement leaves a bracket or an indentation that does not parse, so the caller finds out.

    >>> skim(b'def f(a):\n    "What it does."\n    return a + 1\n')
    b'def f(a):\n    "What it does."'
"""

import functools
import re

_STRING = (
    rb'"""(?>[^"\\]++|\\.|"(?!""))*+"""'
    rb"|'''(?>[^'\\]++|\\.|'(?!''))*+'''"
    rb'|"(?>[^"\\\n]++|\\.)*+"'
    rb"|'(?>[^'\\\n]++|\\.)*+'"
)
_COMMENT = rb"#[^\n]*+"
_LEXED = rb"[^\"'#\n]++|" + _STRING + rb"|" + _COMMENT
"""Anything but a line end, as whole strings and comments."""


def _brackets(depth: int) -> bytes:
    """Pattern of a bracket with brackets inside it, `depth` deep at most."""
    inner = _brackets(depth - 1) if depth else rb"(?!)"
    return rb"[(\[{](?>[^\"'#()\[\]{}]++|" + _STRING + rb"|" + _COMMENT + rb"|" + inner + rb")*+[)\]}]"


_BRACKET = _brackets(4)
_LINE_END = rb"[ ]*(?:" + _COMMENT + rb")?\n"
_DEF = rb"[ ]*(?:async[ ]+)?def[ ]"
_UP_TO_DEF = re.compile(rb"(?>" + _LEXED + rb"|\n(?!" + _DEF + rb"))*+", re.DOTALL)
_RETURNS = rb"->(?>[^\"'#:\n\\()\[\]{}]++|" + _STRING + rb"|" + _BRACKET + rb")*+"
_HEADER = re.compile(
    rb"\n([ ]*)(?:async[ ]+)?def[ ]+[\w\x80-\xff]+[ ]*(?:" + _BRACKET + rb"[ ]*)?" + _BRACKET
    # The blank and comment lines after a header belong to it, so that what follows is the first statement.
    + rb"[ ]*(?:" + _RETURNS + rb")?:(?:" + _LINE_END + rb")++",
    re.DOTALL,
)  # fmt: skip
_DOCSTRING = re.compile(rb"[ ]+[rRuU]?(?:" + _STRING + rb")[ ]*(?:" + _COMMENT + rb")?(?=\n|\Z)", re.DOTALL)
_NO_DOCSTRING = re.compile(rb"[ ]+(?![rRuU]?[\"'])[\w@]")
_UNSURE = (b"\t", b"\r", b"\f", b"\0")
"""Bytes that make columns or lines ambiguous."""
_MARK = b"\xef\xbb\xbf"


@functools.cache
def _body(indent: int) -> re.Pattern[bytes]:
    """All up to the next statement that is indented by `indent` spaces or fewer."""
    return re.compile(rb"(?>" + _LEXED + rb"|\n(?![ ]{0,%d}[^\s#]))*+" % indent, re.DOTALL)


def skim(data: bytes) -> bytes | None:
    """`data` with the bodies of functions cut out, docstrings kept; None if it has to be read as a whole."""
    if any(byte in data for byte in _UNSURE) or any(b"coding" in line for line in data.split(b"\n", 2)[:2]):
        return None
    data = b"\n" + data.removeprefix(_MARK)
    kept: list[bytes] = []
    start = at = 0
    while (at := _end(_UP_TO_DEF, data, at)) < len(data):
        if not data.startswith(b"\n", at):
            return None
        header = _HEADER.match(data, at)
        at = header.end() if header else at + 1
        if header and (docstring := _DOCSTRING.match(data, at)):
            at = docstring.end()
            kept.append(data[start:at])
        elif header and _NO_DOCSTRING.match(data, at):
            kept += [data[start:at], b" " * (len(header[1]) + 1), b"pass"]
        else:
            continue
        at = start = _end(_body(len(header[1])), data, at)
    kept.append(data[start:])
    return b"".join(kept)[1:]


def _end(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    found = pattern.match(data, at)
    return found.end() if found else at
