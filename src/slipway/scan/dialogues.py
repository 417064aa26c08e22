"""Ordinary conversations that templates are shown: 1 to 40 turns, with and without system message, tools, thoughts."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

Message = dict[str, Any]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather_of",
        "description": "Tells the weather.",
        "parameters": {
            "type": "object",
            "properties": {"town": {"type": "string", "description": "Name of the town."}},
            "required": ["town"],
        },
    },
}
SAID = ("Zwölf “Boxer” jagen {n}: a<b & c>d, 'x' \\ {{y}}?\nLine two of {n}.", "Turn {n} — plain words.", "Why {n}?")
MARK = "\u27e6{n}\u27e7"
"""A content that nobody waits for: no letter, no sign of a sentence."""
THOUGHT = "\u27e8thought\u27e9"
CALL = {"id": "call00001", "type": "function", "function": {"name": "weather_of", "arguments": {"town": "Kiel"}}}


class Dialogue(NamedTuple):
    """A conversation, and what else the template is given."""

    name: str
    messages: list[Message]
    variables: dict[str, Any]

    @property
    def tools(self) -> bool:
        """Whether the model may call something: only then a template has to explain how."""
        return "tools" in self.variables

    @property
    def other(self) -> bool:
        """Whether somebody speaks whom only some templates know."""
        return any(one["role"] not in {"system", "user", "assistant", "tool"} for one in self.messages)

    @property
    def plain(self) -> bool:
        """Whether user and assistant take turns, and nothing else is there."""
        return not self.tools and all(one["role"] in {"user", "assistant"} for one in self.messages)


def turns(count: int, said: Sequence[str], *, system: bool = False) -> list[Message]:
    """`count` turns of user and assistant, behind a system message if asked for."""
    listed = [
        {"role": ("user", "assistant")[n % 2], "content": said[n % len(said)].replace("{n}", f"#{n}#")}
        for n in range(count)
    ]
    return [{"role": "system", "content": said[0].replace("{n}", "#100#")}, *listed] if system else listed


def conversations(said: Sequence[str]) -> Iterator[Dialogue]:
    """Ordinary conversations, in which the forms `said` are said."""
    for count in (1, 3, *range(2, 13), 40):
        for prompt in (True, False):
            yield Dialogue(f"{count} turns", turns(count, said), {"add_generation_prompt": prompt})
    for count in (1, 2, 5):
        messages = turns(count, said, system=True)
        yield Dialogue(f"a system message and {count} turns", messages, {"add_generation_prompt": count % 2 == 1})
    thinking: list[Message] = [
        one | {"reasoning_content": THOUGHT} if one["role"] == "assistant" else one for one in turns(4, said)
    ]
    yield Dialogue("an assistant that thinks", thinking, {"add_generation_prompt": False})
    called: list[Message] = [
        *turns(1, said),
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {
            "role": "tool",
            "content": said[0].replace("{n}", "#101#"),
            "name": "weather_of",
            "tool_call_id": "call00001",
        },
        *turns(4, said)[3:],
    ]
    tools = {"tools": [TOOL], "add_generation_prompt": True}
    yield Dialogue("a tool", turns(1, said), tools)
    yield Dialogue("a tool and a system message", turns(1, said, system=True), tools)
    yield Dialogue("a call of a tool", called, tools)


def with_role(role: str, said: Sequence[str]) -> Dialogue:
    """A conversation in which somebody speaks whom only some templates know."""
    first, second, third = turns(3, said)
    other = {"role": role, "content": said[0].replace("{n}", "#102#"), "name": role}
    return Dialogue(f"the role {role[:40]!a}", [first, second, other, third], {"add_generation_prompt": True})


def in_parts(messages: Sequence[Message]) -> list[Message]:
    """The same messages with contents as lists of parts, as models that see pictures take them."""
    return [
        {**one, "content": [{"type": "text", "text": one["content"]}]} if one["content"] else one for one in messages
    ]
