"""Markdown for people: what would run or deceive where it is shown, and what is of a person."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import unquote

from slipway import patterns
from slipway.records import Finding
from slipway.scan import remarks, text
from slipway.scan.subject import Subject

if TYPE_CHECKING:
    from markdown_it.token import Token

_SCHEME = re.compile(r"(?i)(?:java|vb)script\s*:|data\s*:\s*(?:text/html|image/svg|application)")
_LEADS = re.compile(
    r"(?im)(?:^|[(<])\s*(?:file|ssh|sftp|smb|ldaps?|gopher|telnet|ms-[a-z-]+|search-ms|vscode[a-z-]*|view-source|jar|intent):[/\\]"
    r"|^\s*(?:https?:)?//(?:[\w-]+\.)*xn--"
)
"""Addresses that open something on the reader's machine, or look like another host's."""
_TAG = re.compile(
    r"(?i)<\s*/?\s*(?:script|svg|math|img|image|iframe|object|embed|style|form|input|button|link|meta|base|video|audio"
    r"|body|html|details|marquee|template)\b[^>]{0,80}"
)
_HEAD = re.compile(r"\A---.*?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_REMARK = re.compile(r"(?m)^ {0,3}\[[^\]\n]{0,40}\]:\s*<?#>?\s*[\"'(].*")
"""A definition of a link that leads nowhere, which Markdown knows no other use of."""
_HOST = re.compile(r"(?i)(?:https?:)?//([^/?#\s:]+)")
_SAID = re.compile(r"(?i)(?:(?:https?:)?//|(?=[\w.-]+\.(?:com|org|net|co|io|ai|dev)/))([^/?#\s:]+)")


def _front_matter(subject: Subject, content: str) -> Iterator[Finding]:
    """YAML at the head of a card: no tags (they can build objects) and no aliases (they can explode)."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.events import AliasEvent, DocumentEndEvent

    if not content.startswith("---"):
        return
    # Others end it only at a line of three dashes; where the two readings differ, there is no telling what counts.
    head, mark, behind = content[3:].partition("\n---")
    if not mark or len(head) > 1 << 20 or not re.match(r"[ \t]*(\r?\n|$)", behind):
        yield subject.finding(
            "card.yaml", "the metadata at its head does not end, or has over 1 MiB", "write the card again", 0
        )
        return
    try:
        for event in YAML(typ="safe", pure=True).parse(head):
            if isinstance(event, DocumentEndEvent) and event.explicit:
                yield subject.finding("card.yaml", "the metadata at its head ends twice", "write the card again", 0)
                return
            if isinstance(event, AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
                reason = "the metadata at its head holds a tag, an anchor or an alias"
                yield subject.finding("card.yaml", reason, "write plain values", 3 + event.start_mark.index)
                return
        YAML(typ="safe", pure=True).load(head)  # no tag, no alias: plain values, but a key may be there twice
    except YAMLError as error:
        reason = f"the metadata at its head is not YAML: {' '.join(str(error).split())[:160]}"
        yield subject.finding("card.yaml", reason, "write the card again", 0)


def _markdown(content: str) -> tuple[list[str], str]:
    """Raw HTML, and everything else outside of code (text, titles and addresses), as CommonMark reads it."""
    from markdown_it import MarkdownIt

    html: list[str] = []
    prose: list[str] = []
    lines = content.split("\n")
    for block in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(content):
        for token in [block, *(block.children or [])]:
            if token.type in {"html_block", "html_inline"}:
                html.append(token.content)
            elif token.type in {"text", "text_special", "image"}:
                prose.append(token.content)
            elif token.type == "fence" and token.map and not lines[token.map[1] - 1].strip().startswith(token.markup):
                # Code to the end of the text for this parser; others may read what follows as HTML.
                html += re.findall(r"<[A-Za-z/!?].*", token.content)
            prose += [unquote(str(value)) for value in token.attrs.values()]
    return html, "\n".join(prose)


def _lenient(content: str) -> tuple[list[str], str | None]:
    """What others than CommonMark may take for HTML; and a link whose text is an address of another host.

    A bracket that is escaped is text to all of them, and so is code that stands in one line.
    """
    from markdown_it import MarkdownIt

    tags: list[str] = []
    for block in MarkdownIt("commonmark").enable("table").disable("text_join").parse(content):
        children = block.children or []
        tags += _TAG.findall("".join("\0" if _is_text(one) else one.content for one in children))
        for link, shown in pairwise(children):
            if link.type == "link_open" and (said := _SAID.match(shown.content.strip())):
                leads = _HOST.match(str(link.attrs.get("href", "")))
                if leads and _site(leads[1]) != _site(said[1]):
                    return tags, f"{said[1]} leads to {leads[1]}"
    return tags, None


def _is_text(token: "Token") -> bool:
    plain = token.type == "code_inline" and not set(token.content) & set("`\n")
    return plain or token.type == "text_special"


def _site(host: str) -> str:
    return host.lower().removeprefix("www.")


def check(subject: Subject) -> Iterator[Finding]:
    """Findings `card.*`: raw HTML, script and false addresses, hidden remarks, what is of a person; and `text.*`."""
    content, findings = text.decode(subject)
    yield from findings
    if findings:
        return
    yield from text.secrets(subject, content)
    yield from _front_matter(subject, content)
    html, prose = _markdown(content)
    tags, false = _lenient(content)
    # Whoever shows a card without its head sees what its head may have opened: a fence, a remark.
    body = _HEAD.sub("", content)
    html += [*tags, *(_markdown(body)[0] + _lenient(body)[0] if body != content else [])]
    if html := [one for one in html if remarks.without(one).strip()]:
        yield subject.finding("card.html", f"holds raw HTML: {html[0][:40]!r}", "write it as Markdown, or as code")
    if found := _SCHEME.search(re.sub(r"[\x00-\x20]|&[^;\s]{1,12};", "", prose)):
        yield subject.finding("card.script", f"holds an address that runs a script: {found[0][:40]!r}", "remove it")
    elif found := _LEADS.search(prose):
        yield subject.finding("card.script", f"holds an address that opens something: {found[0][:40]!r}", "remove it")
    if remark := _REMARK.search(content):
        yield subject.finding("card.hidden", f"holds a remark that is not shown: {remark[0][:40]!r}", "remove it")
    if false:
        yield subject.finding(
            "card.link", f"holds a link that says one address and leads to another: {false}", "mend it"
        )
    licence = re.match(r"(?i)(third|licen[cs]e|notice|copy)", subject.name) is not None
    for where, kinds in ((prose, text.UNCHANGING if licence else text.PERSONAL), (content, text.UNCHANGING)):
        if persons := patterns.find(where, kinds):
            kind, start, _ = persons[0]
            reason = f"holds what looks like {text.WORDS[kind]} ({where[start:][:4]}…)"
            yield subject.finding("card.personal", reason, "name a page or a team instead of a person's address")
            return
