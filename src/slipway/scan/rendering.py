"""Renders chat templates in a process of their own: `python -m slipway.scan.rendering`, templates in, faults out.

The process has an empty environment, one second of processor time for each template and 64 MB beside what the
interpreter takes, and ends with its parent's patience. What a template makes of ordinary conversations must hold
every content once and as it was, say no address, and say nothing of its own behind the first content but the marks
of turns. A prompt that the model brings along stands before it.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Message = dict[str, Any]
SECONDS = 1
"""Processor time of one template."""
MEMORY = 64 << 20
LONGEST = 1 << 20
"""Longest rendering, in characters."""
FEW = 4
"""So many words beside role names may a template put between contents."""
TOKENS = {
    "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "[CLS]",
    "sep_token": "[SEP]", "mask_token": "[MASK]",
}  # fmt: skip
SHORT = 4
"""Conversations up to this length, in messages, show what a template says on every occasion."""
NAMES = re.compile(r"(?i)\b(user|assistant|system|human|model|instruction|response|tool|developer)\b")
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
_SAID = ("Zwölf “Boxer” jagen {n}: a<b & c>d, 'x' \\ {{y}}?\nLine two of {n}.", "Turn {n} — plain words.", "Why {n}?")
_MARK = "\u27e6{n}\u27e7"
"""A content that nobody waits for: no letter, no sign of a sentence."""


def _turns(count: int, said: Sequence[str], *, system: bool = False) -> list[Message]:
    """`count` turns of user and assistant, behind a system message if asked for."""
    turns = [
        {"role": ("user", "assistant")[n % 2], "content": said[n % len(said)].replace("{n}", f"#{n}#")}
        for n in range(count)
    ]
    return [{"role": "system", "content": said[0].replace("{n}", "#100#")}, *turns] if system else turns


def conversations(said: Sequence[str]) -> Iterator[tuple[str, list[Message], dict[str, Any]]]:
    """(name, messages, further variables) of ordinary conversations, in which the forms `said` are said."""
    for count in (1, 3, *range(2, 13), 40):
        for prompt in (True, False):
            yield f"{count} turns", _turns(count, said), {"add_generation_prompt": prompt}
    for count in (1, 2, 5):
        messages = _turns(count, said, system=True)
        yield f"a system message and {count} turns", messages, {"add_generation_prompt": count % 2 == 1}
    call = {"id": "call00001", "type": "function", "function": {"name": "weather_of", "arguments": {"town": "Kiel"}}}
    answer = said[0].replace("{n}", "#101#")
    called: list[Message] = [
        *_turns(1, said),
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": answer, "name": "weather_of", "tool_call_id": "call00001"},
        *_turns(4, said)[3:],
    ]
    tools = {"tools": [TOOL], "add_generation_prompt": True}
    yield "a tool", _turns(1, said), tools
    yield "a tool and a system message", _turns(1, said, system=True), tools
    yield "a call of a tool", called, tools


def _parts(messages: Sequence[Message]) -> list[Message]:
    return [
        {**one, "content": [{"type": "text", "text": one["content"]}]} if one["content"] else one for one in messages
    ]


def _compile(source: str) -> Any:
    from jinja2 import TemplateError

    from slipway.scan.syntax import environment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **_: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)

    setting = environment()
    setting.globals.update(raise_exception=refuse, strftime_now=lambda _: "26 Jul 2024")
    setting.filters["tojson"] = tojson
    return setting.from_string(source)


def _render(template: Any, messages: list[Message], variables: Mapping[str, Any]) -> str | None:
    """The rendering, or None if the template refuses such a conversation, as some do with system messages or tools."""
    from jinja2 import TemplateError
    from jinja2.sandbox import SecurityError

    settings = {"tools": None, "documents": None, **TOKENS, **variables}
    parts, size = [], 0
    try:
        for part in template.generate(messages=messages, **settings):
            parts.append(part)
            size += len(part)
            if size > LONGEST:
                raise MemoryError("its rendering does not end")
    except SecurityError:
        raise
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
        return None
    return "".join(parts)


def _altered(rendering: str, messages: Sequence[Message]) -> str | None:
    """The content that a rendering does not hold as it was, or not in its turn; None if all is there.

    The system message may come anywhere, and some templates hold it back until the user has the last word. What a
    tool answers may be written as JSON, or left out by a template that knows no tools.
    """
    place = 0
    for message in messages:
        role, content = message["role"], str(message["content"])
        if role == "system" and messages[-1]["role"] == "user" and content not in rendering:
            return content
        if role in {"user", "assistant"} and content:
            place = rendering.find(content, place)
            if place < 0 or rendering.count(content) != 1:
                return content
    return None


def _added(rendering: str, messages: Sequence[Message]) -> str | None:
    """Prose that a rendering holds behind the first content; None if there is none."""
    from slipway.scan.prose import words

    contents = [re.escape(message["content"]) for message in messages]
    gaps = re.split("|".join(sorted(contents, key=len, reverse=True)), rendering)
    return next((gap for gap in gaps[1:] if words(NAMES.sub(" ", gap)) > FEW), None)


def judge(source: str) -> list[tuple[str, str]]:
    """Faults (rule, reason) of one template, which `slipway.scan.syntax` has found nothing against."""
    template = _compile(source)
    for form in (list, _parts):
        faults, shown = _judge(template, form)
        if not any(rule == "template.content" for rule, _ in faults):
            return faults or list(_hidden(source, "\0".join(shown)))
    return _judge(template, list)[0]


def _hidden(source: str, shown: str) -> Iterator[tuple[str, str]]:
    """Words that only some conversations bring out: no ordinary one has shown them."""
    from slipway.scan.conditions import hidden, triggers
    from slipway.scan.prose import ROLE, telling
    from slipway.scan.syntax import environment

    tree = environment().parse(source)
    for text, line in triggers(tree):
        yield "template.trigger", f"line {line}: it asks whether a conversation says {text[:60]!a}"
    for one in hidden(tree):
        # The name of a role is seen in any conversation; who gets it must not hang on what is said.
        unseen = {text for text in one.texts if text.strip() not in shown or ROLE.fullmatch(text.strip())}
        if not one.texts:
            reason = f"line {one.line}: what a conversation says decides whether a turn is left out"
            yield "template.conditional_text", reason
        elif telling(unseen):
            said = " … ".join(text.strip() for text in sorted(unseen))[:80]
            reason = f"line {one.line}: what a conversation says decides whether {said!a} is added"
            yield "template.conditional_text", reason


def _judge(template: Any, form: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """Faults, and what the template makes of contents that are no words."""
    shown: list[str] = []
    for said in (_SAID, (_MARK,)):
        shown.clear()
        any_shown = False
        for name, messages, variables in conversations(said):
            rendering = _render(template, form(messages), variables)
            if rendering is not None:
                any_shown = True
                if len(messages) <= SHORT:
                    shown.append(rendering)
                if faults := _faults(rendering, name, messages, tools="tools" in variables):
                    return faults, shown
        if not any_shown:
            return [("template.content", "it refuses every ordinary conversation")], shown
    return [], shown


def _faults(rendering: str, name: str, messages: Sequence[Message], *, tools: bool) -> list[tuple[str, str]]:
    from slipway.scan.prose import ADDRESS

    faults: list[tuple[str, str]] = []
    if (lost := _altered(rendering, messages)) is not None:
        faults.append(("template.content", f"of {name}, it does not show {lost[:40]!a} once and as it was"))
    elif not tools and (more := _added(rendering, messages)):
        faults.append(("template.addition", f"to {name}, it adds words of its own: {more.strip()[:80]!a}"))
    if found := ADDRESS.search(rendering):
        faults.append(("template.address", f"it shows an address: {rendering[found.start() :][:40]!a}"))
    return faults


def _limited(source: str) -> list[tuple[str, str]]:
    """As `judge`, with a second of processor time from now."""
    import resource
    import time

    from jinja2.sandbox import SecurityError

    used = int(time.process_time()) + 1
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    bound = used + SECONDS if hard == resource.RLIM_INFINITY else min(used + SECONDS, hard)
    # The hard limit stays: it cannot be raised again for the next template.
    resource.setrlimit(resource.RLIMIT_CPU, (bound, hard))
    try:
        return judge(source)
    except MemoryError:
        return [("template.bomb", f"rendering it takes more than {MEMORY >> 20} MB")]
    except RecursionError:
        return [("template.bomb", "rendering it calls itself without end")]
    except SecurityError as error:
        return [("template.call", f"does what the sandbox forbids: {error}")]
    except SyntaxError as error:
        return [("template.syntax", f"cannot be compiled: {error.msg}")]


def main() -> None:
    """Templates as a JSON list on standard input; on standard output, a list of faults for each."""
    import resource

    sources = json.load(sys.stdin)
    judge("{{ messages[0].content }}")  # imports what a rendering needs
    status = Path("/proc/self/status").read_text("ascii", errors="replace")
    base = int(re.findall(r"VmSize:\s+(\d+)", status)[0]) << 10
    resource.setrlimit(resource.RLIMIT_AS, (base + MEMORY, base + MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    json.dump([_limited(source) for source in sources], sys.stdout)


if __name__ == "__main__":
    main()
