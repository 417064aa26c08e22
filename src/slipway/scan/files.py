"""Names, links and kinds: which files may stand in a release at all.

The list is short on purpose. A file that is not on it is refused, whatever is in it.
"""

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from slipway.records import Finding

JSON = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "bom.cdx.json", "provenance.json", "manifest.json", "recipe.json", "inputs.lock",
    "statement.json", "model.sig",
)  # fmt: skip
STAGES = "acquire|validate|prepare|tokenize|train|evaluate|safety"
KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("index", re.compile(r"model\.safetensors\.index\.json")),
    ("json", re.compile("|".join(map(re.escape, JSON)) + rf"|records/({STAGES})\.json")),
    ("safetensors", re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.safetensors")),
    ("card", re.compile(r"README\.md|DATA\.md|LEDGER\.md")),
    ("html", re.compile(r"report\.html|GATE\.html")),
    ("items", re.compile(r"records/evaluate_items\.parquet")),
    ("template", re.compile(r"chat_template\.jinja")),
    ("text", re.compile(r"LICENSE(\.txt|\.md)?|NOTICE|merges\.txt|vocab\.txt")),
)
DIRECTORIES = {"records"}
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")


def kind(name: str) -> str | None:
    """The kind of a file by its name in the bundle; None if no such file may be published."""
    return next((known for known, pattern in KINDS if pattern.fullmatch(name)), None)


def shown(name: str) -> str:
    """A name that can be printed: what is odd in it is escaped."""
    return name if name.isascii() and name.isprintable() else ascii(name)[1:-1]


def _refuse(rule: str, name: str, reason: str, remedy: str) -> Finding:
    return Finding(rule=rule, path=shown(name), offset=None, reason=reason, remedy=remedy)


def _judge_name(name: str) -> Iterator[Finding]:
    for part in name.split("/"):
        if len(os.fsencode(part)) > 255 or not _PART.fullmatch(part) or ".." in part:
            odd = next(
                (unicodedata.name(c, "a control character") for c in part if not c.isascii() or not c.isprintable()), ""
            )
            why = f" ({odd.lower()})" if odd else ""
            yield _refuse(
                "file.name",
                name,
                f"the name{why} is not plain: letters, digits, `.`, `_`, `-`, first no `.` or `-`, at most 255 bytes",
                "rename the file, or leave it out of the release",
            )
            return


def _judge_entry(name: str, state: os.stat_result, limit: int, *, shared: bool) -> Iterator[Finding]:
    if stat.S_ISLNK(state.st_mode):
        yield _refuse("file.symlink", name, "is a symbolic link", "replace it by a copy of the file")
    elif not stat.S_ISREG(state.st_mode):
        yield _refuse("file.special", name, "is neither a file nor a directory", "leave it out of the release")
    else:
        if state.st_nlink > 1 and not shared:
            reason = f"has {state.st_nlink} hard links, so it can be changed through another name"
            yield _refuse("file.hardlink", name, reason, "replace it by a copy of the file")
        if state.st_size > limit:
            reason = f"has {state.st_size} bytes; scan.max_file_bytes is {limit}"
            yield _refuse("file.size", name, reason, "save it in shards, or raise the limit")
        if state.st_size == 0:
            yield _refuse("file.empty", name, "is empty", "write it again, or leave it out of the release")
        if kind(name) is None:
            yield _refuse("file.unknown", name, "no file of this name may be published", "leave it out of the release")


def entries(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Name in the bundle and lstat of everything below `root`, directories included, sorted by name."""
    found = []
    waiting = [root]
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for entry in listing:
                path = Path(entry.path)
                found.append((path.relative_to(root).as_posix(), entry.stat(follow_symlinks=False)))
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
    yield from sorted(found, key=lambda item: os.fsencode(item[0]))


def judge(
    listed: list[tuple[str, os.stat_result]], limit: int, *, shared: bool = False
) -> tuple[dict[str, int], list[Finding]]:
    """Names, links, sizes and kinds.

    Args:
        listed: what `entries` found.
        limit: largest file, in bytes.
        shared: hard links are no fault.

    Returns: (name -> size of the regular files whose content can be judged, findings).
    """
    findings: list[Finding] = []
    regular: dict[str, int] = {}
    folded: dict[str, str] = {}
    for name, state in listed:
        findings += _judge_name(name)
        other = folded.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
        if other != name:
            reason = f"differs from {shown(other)} only in case or form, so one replaces the other on some systems"
            findings.append(_refuse("file.case", name, reason, "rename one of the two"))
        if stat.S_ISDIR(state.st_mode):
            if name not in DIRECTORIES:
                remedy = "leave it out of the release"
                findings.append(_refuse("file.directory", name, "no directory of this name may be published", remedy))
            continue
        findings += _judge_entry(name, state, limit, shared=shared)
        if stat.S_ISREG(state.st_mode):
            regular[name] = state.st_size
    return regular, findings
