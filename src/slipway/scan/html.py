"""Pages of the release itself: a policy that forbids all but their own style, nothing active, no address."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from slipway.records import Finding
from slipway.scan import text
from slipway.scan.subject import Subject

BESIDE = {"report.html", "GATE.html"}
"""Pages of a release that another may link to; nothing else leads out of a page."""

_CALLS = re.compile(r"(?i)@import|url\(|image-set\(|expression\(|\\")
"""What a style reaches out by; a backslash could write any of it in another way."""


class _Page(HTMLParser):
    """Collects what would run or call out."""

    ACTIVE = frozenset({
        "script", "iframe", "object", "embed", "applet", "form", "base", "frame", "frameset", "link", "portal",
        "foreignobject", "animate", "set", "img", "image", "video", "audio", "source", "use", "math", "textarea", "xmp",
        "noscript", "noembed", "noframes", "plaintext", "template", "select",
    })  # fmt: skip
    """What runs or calls out, or inside of which a browser reads other tags than this parser."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.policy = ""
        self._drawing = self._style = self._title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._drawing |= tag == "svg"
        if tag == "style" and self._drawing:
            # A browser reads markup inside a drawing's style, this parser takes it for text.
            self.faults.append("<style> in <svg>")
        if self._title:
            self.faults.append(f"<{tag}> in the title, where browsers read no tags")
        self._style, self._title = tag == "style", tag == "title" and not self._drawing
        values = {name: value or "" for name, value in attrs}
        if tag == "meta" and values.get("http-equiv", "").lower() == "content-security-policy":
            self.policy = self.policy or values.get("content", "")
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

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self._style = False
        elif tag == "title":
            self._title = False

    def handle_data(self, data: str) -> None:
        # Code that the page shows as text may speak of addresses; only a style acts upon them.
        if self._style and (found := _CALLS.search(data)):
            self.faults.append(f"a style that calls out: {found[0]!r}")

    def handle_decl(self, decl: str) -> None:
        if decl.lower() != "doctype html":
            self.faults.append(f"<!{decl[:40]}>")

    def _hide(self, data: str) -> None:
        """Browsers end a remark, a marked section and an instruction elsewhere, and read what follows."""
        self.faults.append(f"a remark or an instruction: {data[:40]!r}")

    handle_comment = unknown_decl = handle_pi = _hide


def _forbids(policy: str) -> bool:
    """Whether a policy forbids everything but styles that it names by their digest."""
    directives = [part.split() for part in policy.split(";") if part.strip()]
    plain = all(source == "'none'" or source.startswith("'sha256-") for _, *sources in directives for source in sources)
    return plain and ["default-src", "'none'"] in directives


def check(subject: Subject) -> Iterator[Finding]:
    """The report page: plain text, a policy that forbids all but its own style, nothing active, no address."""
    content, findings = text.decode(subject)
    yield from findings
    if findings:
        return
    yield from text.secrets(subject, content)
    page = _Page()
    page.feed(content)
    page.close()
    if not _forbids(page.policy):
        reason = "has no content security policy that forbids everything by default"
        yield subject.finding("html.policy", reason, "write the page with slipway.page")
    for fault in sorted(set(page.faults))[:10]:
        yield subject.finding("html.active", f"holds {fault}", "write the page with slipway.page")
