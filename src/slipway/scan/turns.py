"""What a template makes of a conversation, against the conversation: every content once, as its speaker, nothing more.

A rendering is cut at the contents. Before the first one a model's own prompt may stand, the same for every
conversation; behind a system message and where tools are explained, prose is at home too. Everywhere else only the
marks of turns are: control tokens, and labels such as `### Response:` or `GPT4 Correct User:`.
"""

import json
import re
from collections.abc import Iterator, Sequence

from slipway.scan.dialogues import CALL, THOUGHT, TOOL, Dialogue, Message

FEW = 4
"""So many words may a template put between turns where tools are called, or of a role of its own."""
LABELS = frozenset(
    [
        "user",
        "users",
        "assistant",
        "assistants",
        "system",
        "human",
        "model",
        "bot",
        "gpt",
        "gpt3",
        "gpt4",
        "ai",
        "chatbot",
        "agent",
        "correct",
        "code",
        "instruction",
        "instructions",
        "instruct",
        "inst",
        "response",
        "respond",
        "output",
        "input",
        "question",
        "answer",
        "prompt",
        "tool",
        "tools",
        "developer",
        "turn",
        "round",
        "start",
        "end",
        "of",
        "role",
        "header",
        "id",
        "im",
        "sys",
        "text",
        "message",
        "content",
        "final",
        "think",
        "thinking",
        "thought",
        "thoughts",
        "reasoning",
        "channel",
        "analysis",
        "commentary",
        "to",
        "return",
        "result",
        "results",
        "observation",
        "observations",
        "function",
        "functions",
        "call",
        "calls",
        "request",
        "query",
        "reply",
        "human",
        "me",
        "you",
        "chat",
        "conversation",
        "context",
        "eot",
        "eos",
        "bos",
        "begin",
        "sep",
        "next",
        "task",
        "with",
    ]
)
"""Words that marks of turns are made of."""
_TAG = re.compile(r"<[^<>\n]{0,80}>|\[\|?/?[\w ]{1,40}\|?\]")
_WORD = re.compile(r"[^\W\d_]{2,}")
_NAME = re.compile(r"(?m)^[#*\s>-]*(?:\w{1,20}|[\u3400-\u9fff\uac00-\ud7af]{1,4}) ?[:\uff1a]\s*$")
"""One name with a colon, alone on its line: who speaks next."""
_SETTING = re.compile(r"(?m)^\s*(?:[A-Z]\w{1,20} ){0,2}[A-Z]\w{1,20}: [\w./-]{1,20}\s*$")
"""What a model is set to, one thing a line: `Reasoning: low`."""
_IDEOGRAPHS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]{2}")
_CLOSING = re.compile(r"<[^<>]{0,40}(?:/|end|END|eot)[^<>]{0,40}>|\[/[^\[\]]{0,40}\]")
_SPEAKER = re.compile(r"(?i)(?<![a-z])(?:(user|human)|(assistant|chatbot|bot|model|gpt)|(system|developer))s?(?![a-z])")
_TOOL_WORDS = frozenset(_WORD.findall(json.dumps([TOOL, CALL]).casefold()))
USER, ASSISTANT, SYSTEM = range(1, 4)
_SPEAKS_AS = {"user": USER, "assistant": ASSISTANT}


def foreign_words(gap: str, *, tools: bool = False, settings: bool = False) -> list[str]:
    """Words between two contents that are no marks of turns; `settings` may stand where a system message ends."""
    known = LABELS | _TOOL_WORDS if tools else LABELS
    tagless = _TAG.sub(lambda tag: " " if _is_mark(tag[0], known) else tag[0], gap.replace(THOUGHT, " "))
    bare = _NAME.sub(" ", _SETTING.sub(" ", tagless) if settings else tagless)
    found: list[str] = []
    for line in _IDEOGRAPHS.sub(" ", bare).splitlines():
        words = _WORD.findall(line)
        # Many names of roles in one line are a sentence.
        found += [word for word in words if word.casefold() not in known or (len(words) > FEW and not tools)]
    return found + _IDEOGRAPHS.findall(bare)


def _is_mark(tag: str, known: frozenset[str]) -> bool:
    """Whether what stands in brackets is a control token, and no sentence."""
    return " " not in tag or sum(word.casefold() not in known for word in _WORD.findall(tag)) < 2


def altered(rendering: str, messages: Sequence[Message]) -> str | None:
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


def cut(rendering: str, messages: Sequence[Message]) -> tuple[list[str], list[Message]]:
    """(what stands before, between and behind the contents, the messages in the order in which they are shown)."""
    contents = {}
    for one in messages:
        if one["content"]:
            # What a tool says is written as JSON by some.
            contents[json.dumps(one["content"], ensure_ascii=False)[1:-1]] = one
            contents[str(one["content"])] = one
    pattern = "|".join(re.escape(content) for content in sorted(contents, key=len, reverse=True))
    pieces = re.split(f"({pattern})", rendering)
    return pieces[::2], [contents[piece] for piece in pieces[1::2]]


def added(gaps: Sequence[str], shown: Sequence[Message], dialogue: Dialogue) -> str | None:
    """Prose that stands behind a content, where only the marks of turns belong; None if there is none."""
    for place, (gap, behind) in enumerate(zip(gaps[1:], shown, strict=True)):
        if dialogue.tools and (behind["role"] == "system" or place == len(shown) - 1):
            continue  # where tools are explained; the words themselves are judged by `slipway.scan.subversion`
        few = FEW if dialogue.tools or dialogue.other else 0
        words = foreign_words(gap, tools=dialogue.tools, settings=behind["role"] == "system")
        if len(words) > few and not (few and sum(map(len, words)) < 4 * FEW):
            return gap
    return None


def head(gaps: Sequence[str]) -> str:
    """The words before the first content."""
    return " ".join(_WORD.findall(gaps[0]))


def mistaken(gaps: Sequence[str], shown: Sequence[Message]) -> Iterator[tuple[str, str]]:
    """(content, mark) of what is shown as if somebody else had said it.

    The first message is left out, as a prompt before it speaks of an assistant.
    """
    for gap, message in zip(gaps[1:], shown[1:], strict=False):
        speakers = [found.lastindex for found in _SPEAKER.finditer(_CLOSING.sub(" ", gap))]
        wanted = _SPEAKS_AS.get(message["role"])
        if speakers and wanted and speakers[-1] != wanted:
            yield str(message["content"]), gap
