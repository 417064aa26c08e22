"""`slipway doctor`: looks at this machine and project, and says what would go wrong before it does.

It reads only; it starts, installs and repairs nothing. Every check has one of four answers: `ok`, `note` (works, but
you should know), `fault` (something will fail; the line says what to do) or `not run` (nobody looked, so nobody knows).
"""

import importlib.metadata
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from slipway import ENVIRONMENT
from slipway.errors import UserError
from slipway.recipe import load

GIBIBYTE = 1 << 30


class Answer(NamedTuple):
    """What one check found."""

    verdict: Literal["ok", "note", "fault", "not run"]
    subject: str
    finding: str


def _python() -> Answer:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Answer("ok" if sys.version_info >= (3, 11) else "fault", "python", f"{version}, needed 3.11 or newer")


def _git(root: Path) -> Answer:
    if not shutil.which("git"):
        return Answer("fault", "git", "not found; install it: a release records the commit it was made from")
    done = subprocess.run(
        ["git", "status", "--porcelain", "-uno"], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return Answer("fault", "git", f"{root} is not a git checkout; run `git init` and commit")
    changed = len(done.stdout.splitlines())
    if changed:
        return Answer("note", "git", f"{changed} tracked files differ from the commit; a release made now says `dirty`")
    return Answer("ok", "git", "clean checkout")


def _pins(root: Path) -> Answer:
    pins = dict(
        re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", (root / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    )
    off = []
    for name, pinned in pins.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # a pin for an extra that is not installed
        if installed.split("+")[0] != pinned:
            off.append(f"{name} {installed} (pinned {pinned})")
    if off:
        return Answer(
            "fault", "packages", f"not as pinned: {', '.join(off[:5])}; run `pip install -c constraints.txt -e .`"
        )
    return Answer("ok", "packages", "as pinned in constraints.txt")


def _disk(root: Path) -> Answer:
    free = shutil.disk_usage(root).free / GIBIBYTE
    if free < 1:
        return Answer("fault", "disk", f"{free:.1f} GiB free, the default recipe needs about 1 GiB; free some space")
    return Answer("ok", "disk", f"{free:.1f} GiB free, the default recipe needs about 1 GiB")


def _threads(root: Path) -> Answer:
    wanted = load(root / "params.yaml").train.threads
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if wanted > cores:
        return Answer("note", "threads", f"train.threads is {wanted}, but {cores} cores are usable: it will be slow")
    return Answer("ok", "threads", f"train.threads is {wanted} of {cores} cores")


def _recipe(root: Path) -> Answer:
    return Answer("ok", "recipe", f"params.yaml is valid: {load(root / 'params.yaml').name}")


def _privacy() -> Answer:
    off = [f"{name}={os.environ.get(name)}" for name, value in ENVIRONMENT.items() if os.environ.get(name) != value]
    if off:
        return Answer("note", "environment", f"differs from Slipway's defaults: {', '.join(off)}")
    return Answer("ok", "environment", "no telemetry, no hub access, no pickle")


def _keys(root: Path) -> Answer:
    if os.environ.get("SLIPWAY_KEY_PEM") or os.environ.get("SLIPWAY_KEY", "").startswith("pkcs11:"):
        return Answer("ok", "signing key", "in the environment or a token; no file to look at")
    key = Path(os.environ.get("SLIPWAY_KEY") or root / ".slipway" / "keys" / "release.key")
    if not key.exists():
        return Answer("note", "signing key", f"{key} does not exist yet; the first release makes one")
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & 0o077:
        return Answer("fault", "signing key", f"{key} can be read by others (mode {mode:o}); run `chmod 600 {key}`")
    return Answer("ok", "signing key", f"{key}, readable by you alone")


def examine(root: Path, check_lock: Callable[[], object]) -> Iterator[Answer]:
    """Run every check in `root`. `check_lock` raises UserError if an input differs from inputs.lock."""

    def _lock() -> Answer:
        check_lock()
        return Answer("ok", "inputs", "every source is as inputs.lock says")

    checks: dict[str, Callable[[], Answer]] = {
        "python": _python,
        "git": lambda: _git(root),
        "packages": lambda: _pins(root),
        "disk": lambda: _disk(root),
        "recipe": lambda: _recipe(root),
        "threads": lambda: _threads(root),
        "inputs": _lock,
        "environment": _privacy,
        "signing key": lambda: _keys(root),
    }
    for subject, check in checks.items():
        try:
            yield check()
        except (UserError, OSError) as error:
            yield Answer("fault", subject, str(error))
