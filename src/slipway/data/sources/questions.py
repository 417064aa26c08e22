"""Questions that a docstring answers itself, as conversations of one user turn and one assistant turn.

Nothing is invented: an answer is a paragraph of the docstring, or lines of its section `Parameters`, as they stand. A
docstring that has neither gives no question. Which of a few phrasings is used follows from a hash of the object's
name, so it never changes when other objects come.

    user       What does `numpy._core.fromnumeric.argsort` do?
    assistant  Returns the indices that would sort an array.
    user       What are the parameters of `numpy._core.fromnumeric.argsort`?
    assistant  a : array_like
               axis : int or None, optional
"""

import hashlib
import re
from collections.abc import Iterator, Sequence

from slipway.data.documents import Turn

_OF_FUNCTIONS = ("What does `{}` do?", "What is `{}` for?", "Explain `{}` in short.")
_OF_OTHERS = ("What is `{}`?", "What is `{}` for?", "Explain `{}` in short.")
"""For classes and modules."""
_OF_PARAMETERS = ("What are the parameters of `{}`?", "Which parameters does `{}` take?")
_RULE = re.compile(r"([=\-~^\"'*#+`])\1{2,}[ ]*")
"""The line below (or above) a heading, in reStructuredText."""
_WORDS = re.compile(r"\w+[^\w\n]+\w")
_FIELD = re.compile(r"\.\. |:\w+[^:\n]*: |>>>|@|\|")
"""How a paragraph begins that is no prose: a directive, a field, an example, a decorator, a table."""


def questions(name: str, signature: str, docstring: str) -> Iterator[tuple[str, list[Turn]]]:
    """What can be asked about an object: a mark for the id, and the turns.

    Args:
        name: qualified name, as in the questions.
        signature: its line, which begins with `def`, `async def`, `class` or `module`.
        docstring: without its indentation.
    """
    phrasings = _OF_OTHERS if signature.startswith(("class ", "module ")) else _OF_FUNCTIONS
    for mark, chosen, answer in (
        ("", phrasings, _summary(name, docstring)),
        ("?parameters", _OF_PARAMETERS, _parameters(docstring)),
    ):
        if answer:
            number = hashlib.sha256(f"{name}{mark}".encode()).digest()[0] % len(chosen)
            yield mark, [Turn("user", chosen[number].format(name)), Turn("assistant", answer)]


def _heading(lines: Sequence[str]) -> bool:
    return any(_RULE.fullmatch(line) for line in lines)


def _summary(name: str, docstring: str) -> str | None:
    """The first paragraph, after a title and after a line that repeats the signature; None if it is no prose."""
    own = f"{name.rpartition('.')[2]}("
    for paragraph in re.split(r"\n[ ]*\n", docstring.strip()):
        lines = paragraph.strip("\n").split("\n")
        titled = [line for line in lines if not _RULE.fullmatch(line)]
        if lines[0].startswith(own) or (_heading(lines) and len(titled) == 1 and len(lines) <= 3):
            continue  # the signature once more, or a title alone
        text = "\n".join(lines).strip()
        if _heading(lines) or _FIELD.match(text) or text.endswith(":") or not _WORDS.search(text):
            return None
        return text
    return None


def _parameters(docstring: str) -> str | None:
    """The lines `name : type` of the section `Parameters` (numpydoc), as they stand; None without such a section."""
    lines = docstring.split("\n")
    begin = next(
        (at + 2 for at in range(len(lines) - 2) if lines[at] == "Parameters" and _RULE.fullmatch(lines[at + 1])), None
    )
    if begin is None:
        return None
    end = next((at for at in range(begin, len(lines) - 1) if _RULE.fullmatch(lines[at + 1])), len(lines))
    named = [line.rstrip() for line in lines[begin:end] if re.match(r"\*{0,2}\w[\w*, .`\\]*[ ]?: ?\S", line)]
    return "\n".join(named) or None
