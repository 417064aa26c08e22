"""Chat templates are programs: the only one that may be published is the one that Slipway ships, byte for byte."""

from collections.abc import Iterator

from slipway.chat import SHA256
from slipway.files import sha256_bytes
from slipway.records import Finding
from slipway.scan.subject import Subject

REMEDY = "release with the template that Slipway ships, or without one"


def known(content: bytes) -> bool:
    """Whether a template is the one that Slipway ships."""
    return sha256_bytes(content) == SHA256


def check(subject: Subject) -> Iterator[Finding]:
    """Finding `template.unknown` for the file chat_template.jinja."""
    if not known(subject.content):
        reason = f"a chat template is a program, and this one (sha256 {sha256_bytes(subject.content)}) is not known"
        yield subject.finding("template.unknown", reason, REMEDY)
