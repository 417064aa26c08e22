"""Chat templates are programs: their language is held to an allowlist, then they are rendered under watch.

First the syntax tree (`slipway.scan.syntax`) and the words in it (`slipway.scan.literals`). What keeps to the language
is rendered for ordinary conversations in a process of its own (`slipway.scan.rendering`), where words that depend on
what a conversation says (`slipway.scan.conditions`) are found. The template that Slipway ships is known by its digest.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping

from slipway.chat import SHA256
from slipway.files import sha256_bytes
from slipway.records import Finding
from slipway.scan import text
from slipway.scan.subject import Subject

REMEDY = "release with the template that Slipway ships, or mend it; docs/scanning.md says what a template may do"
PATIENCE = 20
"""Seconds until a rendering that has not ended by itself is ended."""


def known(source: str) -> bool:
    """Whether a template is the one that Slipway ships."""
    return sha256_bytes(source.encode("utf-8", "surrogatepass")) == SHA256


def judge(subject: Subject, sources: Mapping[str, str]) -> Iterator[Finding]:
    """Findings `template.*`.

    Args:
        subject: the file that holds the templates.
        sources: where in it -> template.
    """
    from slipway.scan import literals, syntax

    sound = {}
    for where, source in sources.items():
        if known(source):
            continue
        tree, faults = syntax.parse(source)
        faults += [] if tree is None else list(syntax.check(tree))
        faults += [] if tree is None else list(literals.faults(source, tree))
        for fault in sorted(set(faults))[:10]:
            yield subject.finding(fault.rule, f"{where}line {fault.line}: it {fault.reason}", REMEDY)
        if not faults:
            sound[where] = source
    if sound:
        for where, rule, reason in _rendered(sound):
            yield subject.finding(rule, f"{where}{reason}", REMEDY)


def _rendered(sources: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """(where, rule, reason) of what is wrong with templates when they run."""
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-B", "-m", "slipway.scan.rendering"],
            input=json.dumps(list(sources.values())).encode(),
            capture_output=True,
            timeout=PATIENCE + len(sources),
            env=environment,
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield "", "template.bomb", f"rendering it does not end within {PATIENCE} s"
        return
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
        what = f"signal {-done.returncode}" if done.returncode < 0 else last[0][:120]
        # Processor time that runs out is a signal; anything else is no verdict either.
        rule = "template.bomb" if done.returncode < 0 else "scan.incomplete"
        yield "", rule, f"rendering it was ended by {what}"
        return
    for where, faults in zip(sources, json.loads(done.stdout), strict=True):
        for rule, reason in faults:
            yield where, rule, reason


def templates(value: object, where: str) -> tuple[dict[str, str], list[str]]:
    """The templates in a `chat_template` of JSON: a text, names to texts, or a list of both; and what is none."""
    if value is None:
        return {}, []
    if isinstance(value, str):
        return {f"{where}: ": value}, []
    pairs: list[tuple[object, object]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = [(one.get("name"), one.get("template")) if isinstance(one, dict) else (None, None) for one in value]
    found = {f"{where}[{name!a:.40}]: ": source for name, source in pairs if isinstance(source, str)}
    return found, [] if pairs and len(found) == len(pairs) else [f"{where}: holds what is no template"]


def check(subject: Subject) -> Iterator[Finding]:
    """Findings `template.*` of a file that is one template, and of `slipway.scan.text`."""
    content, findings = text.decode(subject)
    yield from findings
    if not findings:
        yield from text.secrets(subject, content)
        yield from judge(subject, {"": content})
