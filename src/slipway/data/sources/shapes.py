"""Shapes of rows: plain text, conversations, prompts with completions, preference pairs; recognised and checked.

    {"text": "…"}
    {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}
    {"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}]}
    {"prompt": "…", "completion": "…"}                        either may be a list of messages
    {"prompt": "…", "chosen": "…", "rejected": "…"}           or `chosen` and `rejected` as conversations

A conversation may begin with the system; then users and assistants take turns (a tool may speak after an
assistant), and the assistant ends. Contents are strings that are not empty. A chosen answer differs from the
rejected one. Whatever breaks a rule is an error that names file, row and turn.
"""

from collections.abc import Callable, Collection
from typing import Any

from slipway.data.documents import Turn
from slipway.data.sources.formats import kind_of, short
from slipway.errors import UserError

_ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "bot": "assistant"}
_MAY_FOLLOW = {
    "": ("system", "user"),
    "system": ("user",),
    "user": ("assistant",),
    "assistant": ("user", "tool"),
    "tool": ("assistant", "tool"),
}


def recognised(columns: Collection[str]) -> str:
    """The shape that columns of these names have."""
    if "messages" in columns or "conversations" in columns:
        return "chat"
    if "chosen" in columns and "rejected" in columns:
        return "preference"
    if "prompt" in columns and "completion" in columns:
        return "completion"
    return "text"


def columns(shape: str, present: Collection[str], text_column: str) -> list[str]:
    """The columns that rows of a shape are read from."""
    if shape == "chat":
        return ["messages" if "messages" in present or "conversations" not in present else "conversations"]
    if shape == "completion":
        return ["prompt", "completion"]
    if shape == "preference":
        return [*(["prompt"] if "prompt" in present else []), "chosen", "rejected"]
    return [text_column]


def turns(shape: str, row: dict[str, Any], where: str) -> list[Turn]:
    """The turns of a row that is no plain text; raises UserError naming `where` and what is wrong."""
    return _READERS[shape](row, where)


def _chat(row: dict[str, Any], where: str) -> list[Turn]:
    column = "messages" if "messages" in row else "conversations"
    found = _messages(row[column], f"{where}: `{column}`")
    _in_order(found, f"{where}: `{column}`")
    if found[-1].role != "assistant":
        raise UserError(f"{where}: `{column}` ends with the {found[-1].role}; nothing could be learnt from it")
    return found


def _completion(row: dict[str, Any], where: str) -> list[Turn]:
    if isinstance(row["prompt"], list) or isinstance(row["completion"], list):
        joined = _answered(row["prompt"], row["completion"], f"{where}: `completion`")
        _in_order(joined, where)
        return joined
    return [
        Turn("prompt", _content(row["prompt"], f"{where}: `prompt`")),
        Turn("completion", _content(row["completion"], f"{where}: `completion`")),
    ]


def _preference(row: dict[str, Any], where: str) -> list[Turn]:
    prompt = row.get("prompt")
    chosen = _answered(prompt, row["chosen"], f"{where}: `chosen`")
    rejected = _answered(prompt, row["rejected"], f"{where}: `rejected`")
    if chosen[:-1] != rejected[:-1]:
        raise UserError(f"{where}: `chosen` and `rejected` must answer the same conversation, and differ before the end")
    if chosen[-1].content == rejected[-1].content:
        raise UserError(f"{where}: `chosen` and `rejected` are the same; nothing could be preferred")
    if len(chosen) == 1:
        raise UserError(f"{where}: a preference needs a prompt: a column `prompt`, or conversations that begin with one")
    _in_order(chosen, where)
    return [*chosen[:-1], Turn("chosen", chosen[-1].content), Turn("rejected", rejected[-1].content)]


def _answered(prompt: Any, answer: Any, where: str) -> list[Turn]:
    """A prompt with its answer as a conversation that ends with the assistant."""
    before = [] if prompt is None else _messages(prompt, where) if isinstance(prompt, list) else None
    if before is None:
        before = [Turn("user", _content(prompt, where))]
    after = _messages(answer, where) if isinstance(answer, list) else [Turn("assistant", _content(answer, where))]
    found = after if before and after[: len(before)] == before else [*before, *after]
    if found[-1].role != "assistant":
        raise UserError(f"{where} ends with the {found[-1].role}, not with an answer of the assistant")
    return found


def _messages(value: Any, where: str) -> list[Turn]:
    if not isinstance(value, list) or not value:
        raise UserError(f"{where} is {kind_of(value)}, not a list of messages; it holds {short(value)}")
    return [_message(message, f"{where}, turn {number}") for number, message in enumerate(value, 1)]


def _message(message: Any, where: str) -> Turn:
    if not isinstance(message, dict):
        raise UserError(f"{where} is {kind_of(message)}, not an object with role and content; it holds {short(message)}")
    role = message.get("role", message.get("from"))
    name = _ROLES.get(role, role) if isinstance(role, str) else role
    if name not in _MAY_FOLLOW:
        raise UserError(f"{where}: role {short(role)} is none of system, user, assistant, tool")
    return Turn(name, _content(message.get("content", message.get("value")), where))


def _content(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"{where}: the content is {kind_of(value)}, not a string; it holds {short(value)}")
    if not value.strip():
        raise UserError(f"{where}: the content is empty; remove the row, or fill it in")
    return value


def _in_order(found: list[Turn], where: str) -> None:
    before = ""
    for number, turn in enumerate(found, 1):
        if turn.role not in _MAY_FOLLOW[before]:
            allowed = " or ".join(_MAY_FOLLOW[before])
            raise UserError(f"{where}, turn {number}: {turn.role} after {before or 'nothing'}; here speaks {allowed}")
        before = turn.role


_READERS: dict[str, Callable[[dict[str, Any], str], list[Turn]]] = {
    "chat": _chat,
    "completion": _completion,
    "preference": _preference,
}
