"""Text: encoding, secrets, and in documents for people, what would run or deceive in a browser."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import unquote

from slipway import patterns
from slipway.records import Finding
from slipway.scan.subject import TEXT_LIMIT, Subject

_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
BESIDE = {"report.html", "GATE.html"}
"""Pages of a release that another may link to; nothing else leads out of a page."""
_SCHEME = re.compile(r"(?i)(?:java|vb)script\s*:|data\s*:\s*(?:text/html|image/svg|application)")
_CUT = "remove it here and make it invalid where it was issued"


def secrets(subject: Subject, content: str) -> Iterator[Finding]:
    """Findings `text.secret`, one for each form; the reason shows no more than the first four characters."""
    for words, start, end in patterns.secrets(content):
        offset = len(content[:start].encode("utf-8", "surrogatepass"))
        reason = f"holds what looks like {words} ({content[start:end][:4]}…)"
        yield subject.finding("text.secret", reason, _CUT, offset)


def odd(content: str) -> tuple[str, int] | None:
    """A character that may not stand in text because it does not show, or misleads: in words, and its place."""
    for pattern, words in (
        (_CONTROL, "a control character"),
        (_DIRECTION, "a character that changes the order of what is shown"),
    ):
        if found := pattern.search(content):
            return f"{words}, {found[0]!a}", found.start()
    return None


def _decode(subject: Subject) -> tuple[str, list[Finding]]:
    if subject.size > TEXT_LIMIT:
        reason = f"has {subject.size} bytes; at most {TEXT_LIMIT} are read"
        return "", [subject.finding("text.size", reason, "leave out what a reader does not need")]
    try:
        content = subject.content.decode("utf-8")
    except UnicodeDecodeError as error:
        return "", [subject.finding("text.encoding", f"is not UTF-8: {error.reason}", "save it as UTF-8", error.start)]
    if found := odd(content):
        offset = len(content[: found[1]].encode())
        return "", [subject.finding("text.control", f"holds {found[0]}", "remove it", offset)]
    return content, []


def check(subject: Subject) -> Iterator[Finding]:
    """Plain text: UTF-8 without control characters, no secret."""
    content, findings = _decode(subject)
    yield from findings
    yield from secrets(subject, content)


def _front_matter(subject: Subject, content: str) -> Iterator[Finding]:
    """YAML at the head of a card: no tags (they can build objects) and no aliases (they can explode)."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.events import AliasEvent

    if not content.startswith("---"):
        return
    head, mark, _ = content[3:].partition("\n---")
    if not mark or len(head) > 1 << 20:
        yield subject.finding(
            "card.yaml", "the metadata at its head does not end, or has over 1 MiB", "write the card again", 0
        )
        return
    try:
        for event in YAML(typ="safe", pure=True).parse(head):
            if isinstance(event, AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
                reason = "the metadata at its head holds a tag, an anchor or an alias"
                yield subject.finding("card.yaml", reason, "write plain values", 3 + event.start_mark.index)
                return
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


def check_card(subject: Subject) -> Iterator[Finding]:
    """Markdown for people: as plain text, and no HTML, no script address, no e-mail address outside of code."""
    content, findings = _decode(subject)
    yield from findings
    if findings:
        return
    yield from secrets(subject, content)
    yield from _front_matter(subject, content)
    html, prose = _markdown(content)
    if html:
        yield subject.finding("card.html", f"holds raw HTML: {html[0][:40]!r}", "write it as Markdown, or as code")
    if found := _SCHEME.search(re.sub(r"[\x00-\x20]|&[^;\s]{1,12};", "", prose)):
        yield subject.finding("card.script", f"holds an address that runs a script: {found[0][:40]!r}", "remove it")
    if addresses := patterns.find(prose, ("email",)):
        reason = f"holds an e-mail address ({prose[addresses[0].start :][:4]}…)"
        yield subject.finding("card.personal", reason, "name a page or a team instead of a person's address")


class _Page(HTMLParser):
    """Collects what would run or call out."""

    ACTIVE = frozenset({
        "script", "iframe", "object", "embed", "applet", "form", "base", "frame", "frameset", "link", "portal",
        "foreignobject", "animate", "set", "img", "image", "video", "audio", "source", "use",
    })  # fmt: skip

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.policy = ""
        self._drawing = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._drawing |= tag == "svg"
        if tag == "style" and self._drawing:
            # A browser reads markup inside a drawing's style, this parser takes it for text.
            self.faults.append("<style> in <svg>")
        values = {name: value or "" for name, value in attrs}
        if tag == "meta" and values.get("http-equiv", "").lower() == "content-security-policy":
            self.policy = values.get("content", "")
        elif tag == "meta" and "http-equiv" in values:
            self.faults.append(f"<meta http-equiv={values['http-equiv'][:40]!r}>")
        if tag in self.ACTIVE:
            self.faults.append(f"<{tag}>")
        for name, value in values.items():
            called = name in {
                "src",
                "href",
                "xlink:href",
                "action",
                "formaction",
                "srcset",
                "poster",
                "background",
                "ping",
            }
            page = tag == "a" and name == "href" and value in BESIDE
            if (
                name.startswith("on")
                or name in {"style", "srcdoc"}
                or (called and not value.startswith("#") and not page)
            ):
                self.faults.append(f"{name}={value[:40]!r} in <{tag}>")

    def handle_decl(self, decl: str) -> None:
        if decl.lower() != "doctype html":
            self.faults.append(f"<!{decl[:40]}>")


def check_html(subject: Subject) -> Iterator[Finding]:
    """The report page: plain text, a policy that forbids all but its own style, nothing active, no address."""
    content, findings = _decode(subject)
    yield from findings
    if findings:
        return
    yield from secrets(subject, content)
    page = _Page()
    page.feed(content)
    page.close()
    if "default-src 'none'" not in page.policy:
        reason = "has no content security policy that forbids everything by default"
        yield subject.finding("html.policy", reason, "write the page with slipway.page")
    for fault in sorted(set(page.faults))[:10]:
        yield subject.finding("html.active", f"holds {fault}", "write the page with slipway.page")
    if found := re.search(r"(?i)@import|url\(|expression\(", content):
        yield subject.finding("html.active", f"its style calls out: {found[0]!r}", "write the page with slipway.page")
