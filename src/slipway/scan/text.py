"""Plain text: encoding, characters that mislead, secrets, personal data."""

import re
from collections.abc import Iterator

from slipway import patterns
from slipway.records import Finding
from slipway.scan.subject import TEXT_LIMIT, Subject

_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_HIDDEN = re.compile(
    "[\u200b\u2060-\u2064\u180e\u115f\u1160\u3164\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
)
"""Characters without a shape; joiners are at home between letters and pictures that are not ASCII."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
PERSONAL = ("email", "phone", "card", "iban", "ssn")
UNCHANGING = ("card", "iban", "ssn")
"""What has no place in a licence either, where holders of rights may give an address."""
WORDS = {
    "email": "an e-mail address", "phone": "a telephone number", "card": "the number of a payment card",
    "iban": "the number of a bank account", "ssn": "a social security number",
}  # fmt: skip
_INSTALLS = re.compile(
    r"(?m)^[ \t]*(-e[ \t]+(git\+|https?:)|-[if][ \t]+https?:|--(index-url|extra-index-url|find-links|trusted-host)\b"
    r"|[\w.\[\]-]++[ \t]*+@[ \t]*+(git\+|https?://)|(git|hg|svn)\+(https?|ssh)://).*"
)
WINDOW = 1 << 22
OVERLAP = 1 << 13
"""Longest secret that is sure to be found, in characters."""
_CUT = "remove it here and make it invalid where it was issued"


def secrets(subject: Subject, content: str) -> Iterator[Finding]:
    """Findings `text.secret`, one for each form; the reason shows no more than the first four characters."""
    told: set[str] = set()
    for at, part in _windows(content):
        for words, start, end in patterns.secrets(part):
            if words not in told:
                told.add(words)
                offset = len(content[: at + start].encode("utf-8", "replace"))
                reason = f"holds what looks like {words} ({part[start:end][:4]}…)"
                yield subject.finding("text.secret", reason, _CUT, offset)


def _windows(content: str) -> Iterator[tuple[int, str]]:
    """(place, part): overlapping parts of a long text, because a search takes a multiple of its text in memory."""
    at = 0
    while at + WINDOW < len(content):
        yield at, content[at : at + WINDOW]
        end = at + WINDOW - OVERLAP
        between = max(content.rfind(mark, end - OVERLAP, end) for mark in (" ", "\n", '"'))
        at = between + 1 if between > 0 else end
    yield at, content[at:]


def odd(content: str, *, strict: bool = True) -> tuple[str, int] | None:
    """A character that may not stand in text because it does not show, or misleads: in words, and its place.

    A vocabulary lists what occurs in the world's texts; not `strict`, only control characters count.
    """
    for pattern, words in (
        (_CONTROL, "a control character"),
        (_DIRECTION, "a character that changes the order of what is shown"),
        (_HIDDEN, "a character that does not show"),
    ):
        if (strict or pattern is _CONTROL) and (found := pattern.search(content)):
            return f"{words}, {found[0]!a}", found.start()
    return None


def decode(subject: Subject, *, strict: bool = True) -> tuple[str, list[Finding]]:
    """(text, findings `text.size`, `.encoding`, `.control`); the text is empty if there is a finding."""
    if subject.size > TEXT_LIMIT:
        reason = f"has {subject.size} bytes; at most {TEXT_LIMIT} are read"
        return "", [subject.finding("text.size", reason, "leave out what a reader does not need")]
    try:
        content = subject.content.decode("utf-8")
    except UnicodeDecodeError as error:
        return "", [subject.finding("text.encoding", f"is not UTF-8: {error.reason}", "save it as UTF-8", error.start)]
    if found := odd(content, strict=strict):
        offset = len(content[: found[1]].encode())
        return "", [subject.finding("text.control", f"holds {found[0]}", "remove it", offset)]
    return content, []


def check(subject: Subject) -> Iterator[Finding]:
    """Plain text: UTF-8 without control characters, no secret; outside of a licence, nothing of a person."""
    vocabulary = re.fullmatch(r"(.*[_.-])?(merges|vocab)\.txt", subject.name) is not None
    content, findings = decode(subject, strict=not vocabulary)
    yield from findings
    if findings:
        return
    yield from secrets(subject, content)
    if not vocabulary:
        licence = re.match(r"(?i)(third|licen[cs]e|notice|copy)", subject.name)
        yield from personal(subject, content, UNCHANGING if licence else PERSONAL)
        if found := _INSTALLS.search(content):
            offset = len(content[: found.start()].encode())
            reason = f"asks an installer for what is elsewhere: {found[0].strip()[:60]!r}"
            yield subject.finding("text.install", reason, "leave it out; a release needs no installer", offset)


def personal(subject: Subject, content: str, kinds: tuple[str, ...] = PERSONAL) -> Iterator[Finding]:
    """Finding `text.personal` for the first thing of a person of each kind; the reason shows four characters."""
    told = set()
    for kind, start, end in patterns.find(content, kinds):
        if kind not in told:
            told.add(kind)
            reason = f"holds what looks like {WORDS[kind]} ({content[start:end][:4]}…)"
            offset = len(content[:start].encode("utf-8", "surrogatepass"))
            yield subject.finding("text.personal", reason, "name a page or a team instead of a person", offset)
