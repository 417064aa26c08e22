"""The table: one rule per form of personal data or secret, with what must be in a text before it is worth a search.

A pattern is bounded or cannot go back (possessive, Python 3.11), and begins where a run of its own characters begins,
so that no text takes more than time proportional to its length. What must not stand before a match is asked after its
first character (`(?<!x.)`): `re` skips to a first character three times as fast as it looks behind every place.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from slipway.patterns import checks

Span = tuple[int, int]
Check = Callable[[re.Match[str]], Span | None]


class Rule(NamedTuple):
    """How one form is found."""

    kind: str
    words: str
    """What it is, for people: `a GitHub token`."""
    hints: tuple[str, ...]
    """In lower case: one of these is in the lower case of every text with a match; none: always searched."""
    trace: str
    """Regular expression, as RE2 reads it, that is met in every text with a match."""
    pattern: re.Pattern[str]
    check: Check
    """Where the finding lies, or None if it is none."""
    strict: bool = False
    """Only for `secrets`: too many false alarms in text about computing to clean a corpus with."""


def _whole(match: re.Match[str]) -> Span:
    return match.span()


def _value(match: re.Match[str]) -> Span:
    return match.span(1)


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _only(holds: Callable[[str], bool]) -> Check:
    return lambda match: match.span() if holds(_digits(match.group())) else None


def _assigned(match: re.Match[str]) -> Span | None:
    value = match.group(1)
    return match.span(1) if checks.random_looking(value) and "..." not in value else None


def _with_digit(match: re.Match[str]) -> Span | None:
    return match.span() if re.search("[0-9]", match.group()) else None


def _email(match: re.Match[str]) -> Span | None:
    local, _, domain = match.group().rpartition("@")
    # The address of a repository, and a product of matrices: X@Y.mean.
    ordinary = local == "git" or (len(local) == 1 and local.isupper() and domain[0].isupper() and domain[1] == ".")
    return None if ordinary or ".." in local or local[-1] == "." else match.span()


def _phone(match: re.Match[str]) -> Span | None:
    """The longest run of whole groups that is a number: another number may follow the last group."""
    start, end = match.span()
    text = match.string
    while end - start >= 8:
        digits = _digits(text[start:end].replace("(0)", ""))
        separated = end - start > len(digits) + 1
        if checks.international(digits) and (separated or len(digits) >= 10):
            return start, end
        while end > start and text[end - 1].isdigit():
            end -= 1
        while end > start and not text[end - 1].isdigit():
            end -= 1
    return None


def _national(match: re.Match[str]) -> Span | None:
    """A number after a word such as `Tel.`; a date is none."""
    number = match.group(1)
    is_date = re.fullmatch(r"(?:19|20)\d\d[-./ ]\d\d?[-./ ]\d\d?|\d\d?[-./ ]\d\d?[-./ ](?:19|20)\d\d", number)
    return match.span(1) if 7 <= len(_digits(number)) <= 15 and not is_date else None


def _iban(match: re.Match[str]) -> Span | None:
    """As many characters as the country's accounts have, single spaces and hyphens left out."""
    text, start = match.string, match.start()
    account, end = "", start
    length = checks.IBAN_LENGTHS.get(match.group()[:2], 0)
    while len(account) < length and end < len(text):
        if text[end].isalnum():
            account += text[end]
        elif text[end] not in " -" or not text[end - 1].isalnum():
            return None
        end += 1
    if end < len(text) and text[end].isalnum():
        return None
    return (start, end) if account.isascii() and account.isalnum() and checks.iban(account) else None


def _ip(match: re.Match[str]) -> Span | None:
    found = match.group().rstrip(".")
    found = found[:-1] if found.endswith(":") and not found.endswith("::") else found
    return (match.start(), match.start() + len(found)) if checks.public(found) else None


def _rule(*form: str, check: Check = _whole, strict: bool = False) -> Rule:
    kind, words, hints, trace, pattern = form
    return Rule(kind, words, tuple(hints.split()), trace, re.compile(pattern), check, strict)


def _secret(*form: str, check: Check = _whole) -> Rule:
    return _rule("secret", *form, check=check)


_PEM = (
    r"-----BEGIN (?:[A-Z]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:\s*+(?:Proc-Type|DEK-Info|Version|Comment):[^\n]{0,200})*+[A-Za-z0-9+/=\s\\]*+"
    r"(?:-----END (?:[A-Z]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----)?"
)
_NAME = r"[apsAPS](?i:pi[_-]?key|ecret(?:[_-]?(?:access[_-]?)?key)?|assw(?:or)?d|(?:(?<=a)ccess|(?<=a)uth)[_-]?token)"
_ASSIGN = r"\\?[\"']?\s{0,8}[:=]\s{0,8}\\?[\"']"

SECRETS = (
    _secret(
        "an AWS access key", "akia asia abia acca", "A(?:KIA|SIA|BIA|CCA)[0-9A-Z]{4}",
        r"A(?<![\w-]A)(?:KIA|SIA|BIA|CCA)[0-9A-Z]{16}(?!\w)",
    ),
    _rule(
        "secret", "an AWS secret key", "aws", "(?i:aws)",
        r"[aA](?i:ws.{0,20}?(?:secret|key).{0,20}?)[\"'\s:=]{1,8}(?<![A-Za-z0-9/+])([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
        check=_assigned,
    ),
    _secret(
        "a GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", "gh[pousr]_[A-Za-z0-9]{8}|github_pat_",
        r"g(?<![\w-]g)(?:h[pousr]_[A-Za-z0-9]{36,255}|ithub_pat_\w{40,255})(?!\w)",
    ),
    _secret("a GitLab token", "glpat-", "glpat-", r"glpat-(?<![\w-]glpat-)[\w-]{20,255}"),
    _secret("a Hugging Face token", "hf_", "hf_[A-Za-z0-9]{8}", r"hf_(?<![\w-]hf_)[A-Za-z0-9]{30,255}(?!\w)"),
    _secret("a Slack token", "xox", "xox[a-z]-", r"xox(?<![\w-]xox)[abeoprs]-[A-Za-z0-9-]{10,255}"),
    _secret("a Google key", "aiza", "AIza", r"AIza(?<![\w-]AIza)[\w-]{35}(?![\w-])"),
    _secret("an API key", "sk-", "sk-[A-Za-z0-9_-]{8}", r"sk-(?<![\w-]sk-)[\w-]{20,255}", check=_with_digit),
    _secret(
        "a Stripe key", "k_live_ k_test_", "[rs]k_(?:live|test)_",
        r"[rs]k_(?<![\w-].k_)(?:live|test)_[A-Za-z0-9]{16,255}(?!\w)"
    ),
    _secret("an npm token", "npm_", "npm_[A-Za-z0-9]{8}", r"npm_(?<![\w-]npm_)[A-Za-z0-9]{36}(?!\w)"),
    _secret("a PyPI token", "pypi-", "pypi-[A-Za-z0-9_-]{8}", r"pypi-(?<![\w-]pypi-)[\w-]{50,512}"),
    _secret("a signed web token", "eyj", "eyJ", r"eyJ(?<![\w-]eyJ)[\w-]{8,4096}+\.eyJ[\w-]{8,8192}+\.[\w-]{8,2048}+"),
    _rule("secret", "a private key", "private", "PRIVATE KEY", _PEM),
    _rule(
        "secret", "a password in an address", "://", "://",
        r"://[^\s/:@\"'<>]{1,64}:([^\s/@\"'<>]{6,128})@", check=_value, strict=True,
    ),
    _rule(
        "secret", "a password or key", "passw secret key token",
        r"(?i:passwd|password|secret|api[_-]?key|(?:access|auth)[_-]?token)",
        rf"{_NAME}{_ASSIGN}([^\s\"'\\]{{12,128}}+)\\?[\"']", check=_assigned,
    ),
    _rule(
        # Without quotes, as in a file of settings: a line of its own, for prose may go on behind it.
        "secret", "a password or key", "passw secret key token",
        r"(?i:passwd|password|secret|api[_-]?key|(?:access|auth)[_-]?token)",
        rf"{_NAME}[ ]?[=:][ ]{{0,4}}([^\s\"'\\<>{{}}()$]{{12,128}}+)(?=[ \t]*(?:[\r\n]|$))",
        check=_assigned, strict=True,
    ),
)  # fmt: skip

PERSONAL = (
    _rule(
        "iban", "a bank account", "", "[A-Z]{2}[0-9]{2}[ -]?[A-Z0-9]{4}",
        r"[A-Z](?<![A-Za-z0-9].)[A-Z][0-9]{2}(?=[ -]?[A-Z0-9]{4})", check=_iban,
    ),
    _rule(
        "card", "a payment card", "", "[0-9]{14}|[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}|[0-9]{4}[ -][0-9]{6}",
        r"[2-6](?<![\w.+-].)(?<!\w\(.)"
        r"(?:[0-9]{13,18}|[0-9]{3}(?:([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}|([ -])[0-9]{6}\2[0-9]{4,5}))"
        r"(?![\w-]|[ ][0-9]{4}(?![0-9])|\.(?![\s\"']|$))",
        check=_only(checks.card),
    ),
    _rule(
        "ssn", "a social security number", "", "[0-9]{3}-[0-9]{2}-[0-9]{4}",
        r"[0-8](?<![\w.+-].)[0-9]{2}(?<!000)(?<!666)-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![\w-]|\.[0-9])",
    ),
    _rule(
        "ssn", "a social security number", "ssn social", "(?i:ssn|social security)[^0-9]{1,24}[0-9]{3}",
        r"[sS](?<!\w.)(?i:sn|ocial security)[^0-9\n]{1,24}"
        r"((?!000|666|9)[0-9]{3} ?(?!00)[0-9]{2} ?(?!0000)[0-9]{4})(?![\w-]|\.[0-9])",
        check=_value,
    ),
    _rule(
        "ip", "an IP address", "", r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
        r"[0-9](?<![\w.-].)[0-9]{0,2}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![\w-]|\.[0-9])", check=_ip,
    ),
    _rule(
        "ip", "an IP address", ":", "[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{4}",
        r"[23](?<![\w:.].)[0-9A-Fa-f]{3}:[0-9A-Fa-f:]{4,36}(?![\w:])", check=_ip,
    ),
    _rule(
        "email", "an e-mail address", "@", "@",
        r"\w(?<![\w.+%-].)(?<!://.)[\w.+%-]{0,63}+@(?:[^\W_][\w-]{0,62}\.){1,8}[^\W\d_]{2,24}(?![\w(]|-\w)",
        check=_email,
    ),
    _rule(
        "phone", "a phone number", "+", r"\+[1-9][ ./(-]{0,2}[0-9]",
        r"\+(?<![\w+.-]\+)[1-9][0-9]*+(?:(?:[ ./-]|[ .-]?\([0-9]{1,5}\)[ .-]?)[0-9]++){0,8}+(?!\w)", check=_phone,
    ),
    _rule(
        "phone", "a phone number", "", r"[0-9]{3}-[0-9]{4}|[0-9]{3}\.[0-9]{3}\.[0-9]{4}|\([2-9][0-9]{2}\)",
        r"[(2-9](?:(?<![\w.+-].)|(?<=\b1-.))(?:(?<=\()[2-9][0-9]{2}\)[ -]?[2-9][0-9]{2}[ .-]"
        r"|(?<=[2-9])[0-9]{2}(?:[ -][2-9][0-9]{2}-|\.[2-9][0-9]{2}\.))[0-9]{4}(?![\w-]|\.[0-9])",
        check=_only(checks.north_american),
    ),
    _rule(
        "phone", "a phone number", "phone tel tél fax mobil whatsapp",
        "(?i:phone|tel|t\u00e9l|fax|mobil|whatsapp)[^0-9+(]{1,20}[(]?[0-9]",
        r"[tpfmwTPFMW](?<!\w.)(?!(?<=<P)HONE>)(?i:(?:ele)?phone|hone|[ée]l|elefono?|elefax|ax|obile?|hatsapp)(?!\w)[^0-9+(<\n]{1,12}"
        r"((?:\(?(?:00|0)|[1-9])[0-9]*+(?:[ ./()-]{1,3}[0-9]++){1,7}|0[0-9]{8,14})(?![\w-]|\.[0-9])",
        check=_national,
    ),
)  # fmt: skip
