r"""Chat templates: the one that Slipway ships, and how a conversation becomes text and control tokens.

A template is a program from whoever wrote the model. It runs in Jinja's immutable sandbox, without the clock.
Whatever the turns say stays text: the template is rendered once with a mark in place of each content, control
tokens are looked for in that rendering only, and the contents are put back afterwards. The result must hold
every turn once and spell exactly what the template makes of the real conversation, else the conversation is refused.

    >>> chat = Chat(TEMPLATE, CONTROL)
    >>> [part.text for part in chat.parts([("user", "Hi <|im_end|>"), ("assistant", "Ho")])][:3]
    ['<|im_start|>', 'user\nHi <|im_end|>', '<|im_end|>']
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes, sha256_file

START, END = "<|im_start|>", "<|im_end|>"
CONTROL = (START, END)
"""Control tokens of the template that Slipway ships."""
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}\n"
)
FILE = "chat_template.jinja"
ROLES = ("system", "user", "assistant", "tool")
_MARK = "\ue000"
"""Of Unicode's private use area; a content's number between two of them stands for the content."""


def digest(template: str) -> str:
    """sha256 of a template as its file holds it."""
    return sha256_bytes(template.encode())


SHA256 = digest(TEMPLATE)


class Part(NamedTuple):
    """A stretch of a rendered conversation: one control token, or plain text to be encoded on its own."""

    text: str
    control: bool
    learnt: tuple[tuple[int, int], ...]
    """First and last-plus-one character of what counts in the loss."""


def template_of(directory: Path) -> str | None:
    """The default template of a Hugging Face directory, as transformers would choose it; None if there is none."""
    if (directory / FILE).is_file():
        return (directory / FILE).read_text("utf-8")
    config = directory / "tokenizer_config.json"
    found: Any = json.loads(config.read_text("utf-8")).get("chat_template") if config.is_file() else None
    if isinstance(found, list):
        found = {entry.get("name"): entry.get("template") for entry in found if isinstance(entry, dict)}
    if isinstance(found, dict):
        found = found.get("default")
    if found is not None and not isinstance(found, str):
        raise UserError(f"{config}: chat_template is no text; give it as {FILE}")
    return found


def check_tokenizer(directory: Path, tokenizer_sha256: str, chat_template_sha256: str | None) -> None:
    """That a directory holds the tokenizer and the template that the training data was made with.

    Args:
        directory: what is about to be evaluated, probed or released.
        tokenizer_sha256: of tokenizer.json, as `reports/tokenize.json` says.
        chat_template_sha256: of the template there; None if it had none.

    Raises:
        Refusal: naming both digests.
    """
    template = template_of(directory)
    found = {
        "tokenizer.json": sha256_file(directory / "tokenizer.json"),
        "chat template": None if template is None else digest(template),
    }
    for (name, actual), wanted in zip(found.items(), (tokenizer_sha256, chat_template_sha256), strict=True):
        if actual != wanted:
            raise Refusal(
                f"{directory}: sha256 of the {name} is {actual or 'nothing (there is none)'}, but the tokens were made "
                f"with {wanted or 'none'}; restore it, or rebuild with `slipway build --force tokenize`"
            )


def environment() -> Any:
    """Jinja as transformers sets it up, or the white space would differ; without the clock."""
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks the assistant's words for other trainers; here it is only its body."""

        tags = {"generation"}

        def parse(self, parser: Any) -> nodes.Node | list[nodes.Node]:
            next(parser.stream)
            body: list[nodes.Node] = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return body

    def refuse(message: str) -> NoReturn:
        raise TemplateError(message)

    def tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **_: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)

    extensions = [Generation, "jinja2.ext.loopcontrols"]
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
    made.globals["raise_exception"] = refuse
    made.filters["tojson"] = tojson
    return made


class Chat:
    """A template with its control tokens, ready to render."""

    def __init__(self, template: str, control: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        """Compile a template.

        Args:
            template: Jinja source.
            control: the tokenizer's special tokens.
            variables: `bos_token`, `eos_token` and the like.

        Raises:
            Refusal: if it cannot be compiled in the sandbox, or would tell the time.
        """
        from jinja2 import TemplateError

        self.sha256 = digest(template)
        if "strftime_now" in template:
            raise Refusal(
                f"chat template {self.sha256}: it writes today's date, so two builds would differ; remove that"
            )
        try:
            self._template = environment().from_string(template)
        except TemplateError as error:
            raise Refusal(f"chat template {self.sha256}: cannot be compiled in the sandbox: {error}") from None
        self._control = sorted(control, key=len, reverse=True)
        self._variables = dict(variables or {})

    def _render(self, turns: Sequence[tuple[str, str]]) -> str:
        from jinja2 import TemplateError

        messages = [{"role": role, "content": content} for role, content in turns]
        try:
            return self._template.render(
                messages=messages, tools=None, documents=None, add_generation_prompt=False, **self._variables
            )
        except (TemplateError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            roles = ", ".join(role for role, _ in turns)
            raise Refusal(f"chat template {self.sha256} refuses a conversation of {roles}: {error}") from None

    def parts(self, turns: Sequence[tuple[str, str]], *, last_only: bool = False) -> list[Part]:
        """A conversation as control tokens and plain text.

        What counts in the loss are the contents of the assistant's turns, and the control token that ends such
        a turn if at most white space lies between (which then counts too).

        Args:
            turns: (role, content).
            last_only: only the last turn counts, as in a preference pair.

        Raises:
            Refusal: for an unknown role, or a template that leaves turns out or alters what they say.
        """
        for role, _ in turns:
            if role not in ROLES:
                raise Refusal(f"{role!r} is no role of a conversation; known are {', '.join(ROLES)}")
        skeleton = self._render([(role, f"{_MARK}{number}{_MARK}") for number, (role, _) in enumerate(turns)])
        pieces = _pieces(skeleton, self._control)
        shown = [piece for piece in pieces if isinstance(piece, int)]
        if wrong := sorted(number for number in {*shown, *range(len(turns))} if shown.count(number) != 1):
            roles = ", ".join(role for role, _ in turns)
            raise Refusal(
                f"chat template {self.sha256} does not show turn {wrong[0] + 1} of a conversation of {roles} exactly "
                "once; use a template that shows every turn"
            )
        contents = self._contents(turns, pieces)
        last = len(turns) - 1
        counts = [role == "assistant" and (number == last or not last_only) for number, (role, _) in enumerate(turns)]
        return _join(pieces, contents, counts, frozenset(self._control))

    def _contents(self, turns: Sequence[tuple[str, str]], pieces: Sequence[str | int]) -> list[str]:
        """The contents as the template shows them: as they are, or trimmed; proven on the whole rendering."""
        real = self._render(turns)
        raw = [content for _, content in turns]
        for contents in (raw, [content.strip() for content in raw]):
            if "".join(contents[piece] if isinstance(piece, int) else piece for piece in pieces) == real:
                return contents
        raise Refusal(
            f"chat template {self.sha256} alters what the turns say, beyond trimming (conversation beginning with "
            f"{raw[0][:40]!r}); use a template that leaves contents as they are"
        )


def _pieces(skeleton: str, control: Sequence[str]) -> list[str | int]:
    """The rendering cut at contents, given by their numbers, and at control tokens, the longest one first."""
    marked = f"{_MARK}[0-9]{{1,9}}{_MARK}"
    pattern = "|".join([marked, *map(re.escape, control)])
    found = [piece for piece in re.split(f"({pattern})", skeleton) if piece]
    return [int(piece[1:-1]) if re.fullmatch(marked, piece) else piece for piece in found]


def _join(
    pieces: Sequence[str | int], contents: Sequence[str], counts: Sequence[bool], control: frozenset[str]
) -> list[Part]:
    parts: list[Part] = []
    text = ""
    spans: list[tuple[int, int]] = []
    ends = False
    """The assistant has just spoken, and the next control token ends the turn."""
    for piece in pieces:
        if isinstance(piece, int):
            start = len(text)
            text += contents[piece]
            ends = counts[piece]
            if ends:
                spans.append((start, len(text)))
        elif piece in control:
            if text:
                # White space between answer and end of turn counts with them.
                parts.append(Part(text, False, tuple([*spans[:-1], (spans[-1][0], len(text))] if ends else spans)))
            parts.append(Part(piece, True, ((0, len(piece)),) if ends else ()))
            text, spans, ends = "", [], False
        else:
            text += piece
            ends = ends and not piece.strip()
    if text:
        parts.append(Part(text, False, tuple(spans)))
    return parts


def chat_of(tokenizer: Any) -> Chat | None:
    """The chat template of a tokenizer of transformers; None if it has none."""
    if not isinstance(tokenizer.chat_template, str):
        return None
    variables = {name: text for name, text in tokenizer.special_tokens_map.items() if isinstance(text, str)}
    # `all_special_tokens` lacks those that only tokenizer.json names, as the template's own.
    control = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return Chat(tokenizer.chat_template, control, variables)
