"""Renders chat templates in a process of their own: `python -m slipway.scan.rendering`, templates in, faults out.

The process has an empty environment, one second of processor time for each template and 64 MB beside what the
interpreter takes, and ends with its parent's patience. What a template makes of ordinary conversations
(`slipway.scan.dialogues`) must hold every content once, as it was and as its speaker's, say no address, and say nothing
of its own behind the first content but the marks of turns (`slipway.scan.turns`). A prompt that the model brings along
stands before it, and is the same for all.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from slipway.scan import dialogues, turns
from slipway.scan.dialogues import Dialogue, Message

Faults = list[tuple[str, str]]
SECONDS = 1
"""Processor time of one template."""
MEMORY = 64 << 20
LONGEST = 1 << 20
"""Longest rendering, in characters."""
TOKENS = {
    "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "[CLS]",
    "sep_token": "[SEP]", "mask_token": "[MASK]",
}  # fmt: skip
SHORT = 4
"""Conversations up to this length, in messages, show what a template says on every occasion."""
ROLES = 8
"""So many roles beside the ordinary ones are tried."""


def _compile(source: str) -> Any:
    from slipway.chat import environment

    setting = environment()
    setting.globals["strftime_now"] = lambda _: "26 Jul 2024"
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


def judge(source: str) -> Faults:
    """Faults (rule, reason) of one template, which `slipway.scan.syntax` has found nothing against."""
    from slipway.chat import environment
    from slipway.scan.conditions import roles

    template = _compile(source)
    others = sorted(roles(environment().parse(source)))[:ROLES]
    for form in (list, dialogues.in_parts):
        faults, shown = _judge(template, form, others)
        if not any(rule == "template.content" for rule, _ in faults):
            return faults or list(_hidden(source, "\0".join(shown)))
    return _judge(template, list, others)[0]


def _hidden(source: str, shown: str) -> Iterator[tuple[str, str]]:
    """Words that only some conversations bring out: no ordinary one has shown them."""
    from slipway.chat import environment
    from slipway.scan.conditions import cuts, hidden, triggers
    from slipway.scan.prose import ROLE, telling

    tree = environment().parse(source)
    for text, line in triggers(tree):
        yield "template.trigger", f"line {line}: it asks whether a conversation says {text[:60]!a}"
    for line in cuts(tree):
        yield "template.rewrite", f"line {line}: it cuts off what is said"
    for one in hidden(tree):
        # The name of a role is seen in any conversation; who gets it must not hang on what is said.
        unseen = {
            text
            for text in one.texts
            if any(line.strip() not in shown for line in text.strip().splitlines()) or ROLE.fullmatch(text.strip())
        }
        if not one.texts:
            reason = f"line {one.line}: what a conversation says decides whether a turn is left out"
            yield "template.conditional_text", reason
        elif telling(unseen):
            said = " … ".join(text.strip() for text in sorted(unseen))[:80]
            reason = f"line {one.line}: what a conversation says decides whether {said!a} is added"
            yield "template.conditional_text", reason


def _judge(
    template: Any, form: Callable[[Sequence[Message]], list[Message]], others: list[str]
) -> tuple[Faults, list[str]]:
    """Faults, and what the template makes of contents that are no words."""
    shown: list[str] = []
    for said in (dialogues.SAID, (dialogues.MARK,)):
        shown.clear()
        heads: dict[str, str] = {}
        any_shown = False
        for dialogue in dialogues.conversations(said):
            rendering = _render(template, form(dialogue.messages), dialogue.variables)
            if rendering is not None:
                any_shown = True
                if len(dialogue.messages) <= SHORT:
                    shown.append(rendering)
                if faults := _faults(rendering, dialogue, heads):
                    return faults, shown
        for dialogue in (dialogues.with_role(role, said) for role in others):
            rendering = _render(template, form(dialogue.messages), dialogue.variables)
            if rendering is not None and (more := turns.added(*turns.cut(rendering, dialogue.messages), dialogue)):
                return [_addition(dialogue, more)], shown
        if not any_shown:
            return [("template.content", "it refuses every ordinary conversation")], shown
    return [], shown


def _addition(dialogue: Dialogue, more: str) -> tuple[str, str]:
    return "template.addition", f"to {dialogue.name}, it adds words of its own: {more.strip()[:80]!a}"


def _faults(rendering: str, dialogue: Dialogue, heads: dict[str, str]) -> Faults:
    """Faults of one rendering; `heads` keeps what a plain conversation begins with."""
    from slipway.scan.prose import ADDRESS
    from slipway.scan.subversion import subverting

    faults: Faults = []
    gaps, shown = turns.cut(rendering, dialogue.messages)
    if (lost := turns.altered(rendering, dialogue.messages)) is not None:
        faults.append(("template.content", f"of {dialogue.name}, it does not show {lost[:40]!a} once and as it was"))
    elif more := turns.added(gaps, shown, dialogue):
        faults.append(_addition(dialogue, more))
    elif wrong := next(turns.mistaken(gaps, shown), None):
        reason = f"of {dialogue.name}, it shows {wrong[0][:40]!a} behind {wrong[1].strip()[-40:]!a}, as another's words"
        faults.append(("template.role", reason))
    elif dialogue.plain and (begun := turns.head(gaps)) != heads.setdefault("plain", begun):
        reason = f"how long a conversation is decides what it begins with: {heads['plain'][:40]!a} or {begun[:40]!a}"
        faults.append(("template.conditional_text", reason))
    if found := ADDRESS.search(rendering):
        faults.append(("template.address", f"it shows an address: {rendering[found.start() :][:40]!a}"))
    if len(shown) <= SHORT and (said := subverting("\n".join(gaps))):
        faults.append(("template.subversion", f"of {dialogue.name}, it says {said[:80]!a}"))
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
