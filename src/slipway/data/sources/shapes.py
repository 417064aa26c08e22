"""Shapes of rows: plain text, conversations, prompts with completions, preference pairs; recognised and checked.

    {"text": "…"}
    {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}
    {"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}]}
    {"prompt": "…", "completion": "…"}                        either may be a list of messages
    {"prompt": "…", "chosen": "…", "rejected": "…"}           or `chosen` and `rejected` as conversations

A conversation may begin with the system; then users and assistants take turns (a tool may speak after an
assistant), and the assistant ends. Contents are strings that are not empty. A chosen answer differs from the
rejected one. Whatever breaks a rule is an error that names file, row and turn.

Strings stay plain: their turns are `prompt` and `completion`, or `prompt`, `chosen` and `rejected`. With messages on
either side the row is a conversation: a prompt with its completion becomes `chat`, and a preference has the
conversation before the two answers.
"""

from collections.abc import Collection
from typing import Any

from slipway.data.documents import Turn
from slipway.data.sources.checks import kind_of, short
from slipway.errors import UserError

_ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "bot": "assistant"}
_MAY_FOLLOW = {
    "": ("system", "user"),
    "system": ("user",),
    "user": ("assistant",),
    "assistant": ("user", "tool"),
    "tool": ("assistant", "tool"),
}
_SAME = "{where}: `chosen` and `rejected` are the same, so nothing is preferred; remove the row"


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


def turns(shape: str, row: dict[str, Any], where: str) -> tuple[str, list[Turn]]:
    """The shape and the turns of a row that is no plain text; raises UserError naming `where` and what is wrong."""
    if shape == "completion" and isinstance(row["prompt"], str) and isinstance(row["completion"], str):
        return shape, [_plain(row, "prompt", where), _plain(row, "completion", where)]
    if shape == "completion":
        joined = _answered(row["prompt"], row["completion"], f"{where}: `completion`")
        _in_order(joined, where)
        return "chat", joined
    return shape, _chat(row, where) if shape == "chat" else _preference(row, where)


def _plain(row: dict[str, Any], column: str, where: str) -> Turn:
    return Turn(column, _content(row[column], f"{where}: `{column}`"))


def _chat(row: dict[str, Any], where: str) -> list[Turn]:
    column = "messages" if "messages" in row else "conversations"
    found = _messages(row[column], f"{where}: `{column}`")
    _in_order(found, f"{where}: `{column}`")
    if found[-1].role != "assistant":
        raise UserError(f"{where}: `{column}` ends with the {found[-1].role}; nothing could be learnt from it")
    return found


def _preference(row: dict[str, Any], where: str) -> list[Turn]:
    prompt = row.get("prompt")
    if isinstance(row["chosen"], str) and isinstance(row["rejected"], str) and isinstance(prompt, str):
        found = [_plain(row, column, where) for column in ("prompt", "chosen", "rejected")]
        if found[1].content == found[2].content:
            raise UserError(_SAME.format(where=where))
        return found
    chosen = _answered(prompt, row["chosen"], f"{where}: `chosen`")
    rejected = _answered(prompt, row["rejected"], f"{where}: `rejected`")
    if chosen[:-1] != rejected[:-1]:
        raise UserError(
            f"{where}: `chosen` and `rejected` differ before their last message; they must answer the same conversation"
        )
    if chosen[-1].content == rejected[-1].content:
        raise UserError(_SAME.format(where=where))
    if len(chosen) == 1:
        raise UserError(
            f"{where}: a preference needs a prompt: a column `prompt`, or conversations that begin with one"
        )
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
        raise UserError(
            f"{where} is {kind_of(message)}, not an object with role and content; it holds {short(message)}"
        )
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
