"""Personal data and secrets by pattern: found, named by kind, and replaced by `<KIND>`.

The patterns are tuned against false alarms in technical text: a phone number must have an international
prefix or North American separators, a card number an issuer's prefix and a correct check digit (Luhn, ISO/IEC
7812-1), an IPv4 address must be globally routable (not 127.0.0.1, no documentation range) and unlike a version
(1.2.3.4), and a secret must have the fixed shape of a known issuer. Patterns do not find people's names or
addresses, and finding nothing does not prove that nothing is there.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

_SECRET = "|".join(
    (
        r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[A-Za-z0-9+/=\s]{40,}",
        r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",  # Amazon access key id
        r"\bgh[pousr]_[A-Za-z0-9]{36,}\b",  # GitHub token
        r"\bgithub_pat_[A-Za-z0-9_]{60,}\b",
        r"\bglpat-[A-Za-z0-9_-]{20,}\b",  # GitLab
        r"\bhf_[A-Za-z0-9]{34,}\b",  # Hugging Face
        r"\bxox[abprs]-[A-Za-z0-9-]{20,}\b",  # Slack
        r"\bAIza[A-Za-z0-9_-]{35}\b",  # Google
        r"\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,}\b",
        r"\bsk_live_[A-Za-z0-9]{24,}\b",  # Stripe
        r"\bnpm_[A-Za-z0-9]{36}\b",
        r"\bpypi-[A-Za-z0-9_-]{80,}\b",
    )
)
_EMAIL = r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"
_PHONE = (
    r"(?<![\w.+-])(?:\+[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]\d{2,4}){2,4}"
    r"|\+[1-9]\d{10,13}"
    r"|(?:\(\d{3}\) ?|\d{3}-)[2-9]\d{2}-\d{4})(?![\w.-]\d|\d)"
)
_CARD = r"(?<![\w.+-])(?:[3-6]\d{3}(?:[ -]\d{4}){3}|3[47]\d{2}[ -]\d{6}[ -]\d{5}|[3-6]\d{14,15})(?![\w-]|\.[\d,\])])"
_IP = (
    r"(?<![\w.:-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)"
    r"|(?<![\w.:])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![\w.:])"
)


def _luhn(found: str) -> bool:
    digits = [int(c) for c in reversed(found) if c.isdigit()]
    total = sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return total % 10 == 0 and len(set(digits)) > 2


def _phone(found: str) -> bool:
    return 8 <= sum(c.isdigit() for c in found) <= 15


def _global(found: str) -> bool:
    try:
        address = ipaddress.ip_address(found)
    except ValueError:
        return False
    # Every part below 32: a version number far more often than somebody's address.
    version_like = address.version == 4 and all(int(part) < 32 for part in found.split("."))
    return address.is_global and not version_like


def _always(_: str) -> bool:
    return True


@dataclass(frozen=True)
class _Kind:
    """How one kind is found."""

    hints: tuple[str, ...]
    """One of these is in every text with a match; looking for them first is ten times as fast."""
    pattern: re.Pattern[str]
    holds: Callable[[str], bool]


_ISSUERS = ("PRIVATE KEY", "AKIA", "ASIA", "gh", "glpat-", "hf_", "xox", "AIza", "sk-", "sk_live_", "npm_", "pypi-")
_KINDS = {
    "secret": _Kind(_ISSUERS, re.compile(_SECRET), _always),
    "email": _Kind(("@",), re.compile(_EMAIL), _always),
    "card": _Kind(("",), re.compile(_CARD), _luhn),
    "phone": _Kind(("+", "-"), re.compile(_PHONE), _phone),
    "ip": _Kind((".", ":"), re.compile(_IP), _global),
}


@dataclass(frozen=True)
class Scrubbed:
    """A text after the scrub."""

    text: str
    """With every match of a kind to redact replaced by `<KIND>`."""
    redacted: Counter[str]
    kept: tuple[str, ...]
    """Kinds found whose action is not redaction, in a fixed order."""


def _redact(text: str, name: str, kind: _Kind) -> tuple[str, int]:
    count = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal count
        if not kind.holds(match.group()):
            return match.group()
        count += 1
        return f"<{name.upper()}>"

    return kind.pattern.sub(replace, text), count


def scrub(text: str, actions: dict[str, str]) -> Scrubbed:
    """Look for every kind in `actions` (kind -> redact, drop or fail) and redact where that is the action."""
    redacted: Counter[str] = Counter()
    kept = []
    for name, kind in _KINDS.items():
        if not any(hint in text for hint in kind.hints):
            continue
        if actions[name] == "redact":
            text, count = _redact(text, name, kind)
            if count:
                redacted[name] = count
        elif any(kind.holds(match.group()) for match in kind.pattern.finditer(text)):
            kept.append(name)
    return Scrubbed(text, redacted, tuple(kept))
