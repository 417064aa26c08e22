"""Names, links and kinds: which files may stand in a release at all.

A kind only says which checkers judge the content; no file passes by its name. A name that has no kind is refused,
whatever is in the file.
"""

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from slipway.errors import Refusal
from slipway.records import Finding
from slipway.scan.subject import Subject, shown

STAGES = "acquire|validate|prepare|tokenize|train|evaluate|safety"
_PLAIN = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"
_PICTURES = r"(assets|figures|images|media)"
_MODULE = r"[0-9]_[A-Z][A-Za-z]{1,40}"
"""A part of a pipeline of sentence-transformers, `1_Pooling`."""
_OTHER_TOOLS = re.compile(
    r"(?i)(package(-lock)?|composer|tsconfig|jsconfig|launch|tasks|settings|devcontainer|extensions|hubconf)\.json"
    r"|(.*[_.-])?(requirements|constraints)([_.-].*)?\.txt|cmakelists\.txt|robots\.txt|top_level\.txt|entry_points\.txt"
)
"""Files that a tool beside the model would act upon: installers, editors, build systems."""
KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("index", re.compile(rf"{_PLAIN}\.safetensors\.index\.json")),
    ("json", re.compile(rf"{_PLAIN}\.json|inputs\.lock|model\.sig|records/({STAGES})\.json|{_MODULE}/config\.json")),
    ("safetensors", re.compile(rf"({_MODULE}/)?{_PLAIN}\.safetensors")),
    ("gguf", re.compile(rf"{_PLAIN}\.gguf")),
    ("card", re.compile(rf"({_PICTURES}/)?{_PLAIN}\.md")),
    ("html", re.compile(r"report\.html|GATE\.html")),
    ("items", re.compile(r"records/evaluate_items\.parquet")),
    ("template", re.compile(rf"(additional_chat_templates/)?{_PLAIN}\.jinja")),
    ("pieces", re.compile(rf"{_PLAIN}\.(model|spm)|{_PLAIN}\.tiktoken")),
    ("image", re.compile(rf"({_PICTURES}/)?{_PLAIN}\.(png|jpg|jpeg|webp)")),
    ("text", re.compile(rf"(LICEN[CS]E|NOTICE|COPYING|COPYRIGHT)([-_][A-Za-z0-9_-]{{1,40}})?|{_PLAIN}\.txt")),
)
DIRECTORIES = re.compile(rf"records|additional_chat_templates|{_PICTURES}|{_MODULE}")
MOST = 10_000
"""Files and directories of a bundle; a release of 1,000 shards has about 1,050."""
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")


def kind(name: str) -> str | None:
    """The kind of a file by its name in the bundle; None if no such file may be published."""
    if _OTHER_TOOLS.fullmatch(name):
        return None
    return next((known for known, pattern in KINDS if pattern.fullmatch(name)), None)


def _refuse(rule: str, name: str, reason: str, remedy: str) -> Finding:
    return Finding(rule=rule, path=shown(name), offset=None, reason=reason, remedy=remedy)


def _judge_name(name: str) -> Iterator[Finding]:
    for part in name.split("/"):
        if _DEVICE.fullmatch(part):
            reason = "is the name of a device on Windows"
            yield _refuse("file.name", name, reason, "rename the file, or leave it out of the release")
            return
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
    """Name in the bundle and lstat of everything below `root`, directories included, sorted by name.

    Raises:
        Refusal: if there are more than MOST; each would have to be judged.
    """
    found = []
    waiting = [root]
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for entry in listing:
                path = Path(entry.path)
                found.append((path.relative_to(root).as_posix(), entry.stat(follow_symlinks=False)))
                if len(found) > MOST:
                    raise Refusal(f"{root}: holds more than {MOST} files and directories; give the release alone")
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
            if not DIRECTORIES.fullmatch(name):
                remedy = "leave it out of the release"
                findings.append(_refuse("file.directory", name, "no directory of this name may be published", remedy))
            continue
        findings += _judge_entry(name, state, limit, shared=shared)
        if stat.S_ISREG(state.st_mode):
            regular[name] = state.st_size
    return regular, findings


def check_holes(subject: Subject) -> Iterator[Finding]:
    """Finding `file.sparse`: bytes that are stored nowhere; such a file is a terabyte long for the price of none."""
    handle = os.open(subject.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if os.fstat(handle).st_blocks * 512 < subject.size and subject.size > 1 << 20:
            # Fewer blocks alone may mean a compressing file system, which tells of no hole.
            hole = os.lseek(handle, 0, os.SEEK_HOLE)
            if hole < subject.size:
                reason = f"has a hole at {hole}: {subject.size} bytes, but fewer are stored"
                yield subject.finding("file.sparse", reason, "copy it without holes (`cp --sparse=never`)", hole)
    finally:
        os.close(handle)
