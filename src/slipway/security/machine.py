"""What needs no server: environment, versions, files and their modes, secrets under version control."""

import importlib.metadata
import io
import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from slipway import ENVIRONMENT, patterns
from slipway.doctor import Answer
from slipway.errors import UserError

CODE = {
    *("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"),
    *("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "PREFECT_RESULTS_DEFAULT_SERIALIZER"),
}
"""Defaults without which a file or a request can bring code with it."""
NEVER = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true"}
"""Variables that switch a protection off."""
FLOORS = {
    "mlflow": (3, 17, 2),
    "prefect": (3, 8, 8),
    "torch": (2, 13),
    "transformers": (5, 3),
    "safetensors": (0, 8),
    "dvc": (3, 67),
}
"""Oldest version without an advisory that was known when this was written."""
LARGEST = 1 << 20
"""Bytes of a file that is looked through for secrets."""


def examine(root: Path) -> Iterator[Answer]:
    """Every check of this machine and the project at `root`."""
    checks: dict[str, Callable[[], Answer]] = {
        "environment": _environment,
        "telemetry": _privacy,
        "torch": _torch,
        "versions": _versions,
        "pip": _pip,
        "keys": lambda: _keys(root),
        ".slipway": lambda: _state(root),
        "hub token": _token,
        "dvc cache": lambda: _cache(root),
        "diskcache": _diskcache,
        "secrets": lambda: _secrets(root),
        "mlflow accounts": lambda: _accounts(root),
    }
    for subject, check in checks.items():
        try:
            yield check()
        except (UserError, OSError, subprocess.SubprocessError) as error:
            yield Answer("not run", subject, f"{type(error).__name__}: {error}")


def _environment() -> Answer:
    off = [f"{name}={os.environ.get(name)}" for name in sorted(CODE) if os.environ.get(name) != ENVIRONMENT[name]]
    off += [f"{name} is set" for name in sorted(NEVER) if os.environ.get(name, "").lower() in ("1", "true", "y", "yes")]
    if off:
        return Answer("fault", "environment", f"lets files or requests bring code along: {', '.join(off)}; unset these")
    return Answer("ok", "environment", "no pickle, no jobs, weights only, results as JSON")


def _privacy() -> Answer:
    rest = {name: value for name, value in ENVIRONMENT.items() if re.search("TELEMETRY|TRACK|ANALYTICS|OFFLINE", name)}
    off = [f"{name}={os.environ.get(name)}" for name, value in rest.items() if os.environ.get(name) != value]
    if off:
        return Answer("note", "telemetry", f"differs from Slipway's defaults: {', '.join(off)}")
    return Answer("ok", "telemetry", "off everywhere, and no library reaches for a hub unasked")


def _torch() -> Answer:
    """Not the variable, its effect: a pickle that is none of weights, loaded by a caller who asks for all."""
    import pickle

    import torch

    stream = io.BytesIO()
    torch.save({"not": ValueError("weights")}, stream)
    stream.seek(0)
    try:
        torch.load(stream, weights_only=False)
    except pickle.UnpicklingError:
        return Answer("ok", "torch", "loads weights only, whatever its caller asks for")
    except RuntimeError as error:  # two variables that contradict each other
        return Answer("fault", "torch", str(error))
    return Answer("fault", "torch", "loaded an object that is no weights; set TORCH_FORCE_WEIGHTS_ONLY_LOAD=1")


def _versions() -> Answer:
    old = []
    for name, floor in FLOORS.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            old.append(f"{name} is not installed")
            continue
        numbers = tuple(int(part) for part in re.findall(r"\d+", found.split("+")[0])[: len(floor)])
        if numbers < floor:
            old.append(f"{name} {found} (from {'.'.join(map(str, floor))} on)")
    if old:
        return Answer("fault", "versions", f"with known advisories: {', '.join(old)}; install constraints.txt again")
    return Answer(
        "ok", "versions", f"{', '.join(FLOORS)}: none older than its last known advisory; `slipway audit` knows more"
    )


def _pip() -> Answer:
    try:
        found = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        return Answer("ok", "pip", "not installed here")
    if tuple(map(int, re.findall(r"\d+", found)[:2])) < (23, 3):
        return Answer("note", "pip", f"{found} has CVE-2023-5752 (installs from Mercurial); `pip install -U pip`")
    return Answer("ok", "pip", found)


def _keys(root: Path) -> Answer:
    named = os.environ.get("SLIPWAY_KEY", "")
    folder = root / ".slipway" / "keys"
    private = [path for path in sorted(folder.glob("*")) if path.suffix != ".pub" and path.is_file()]
    if named and not named.startswith("pkcs11:"):
        if not (root / named).is_file():
            return Answer("not run", "keys", f"SLIPWAY_KEY names {named}, and there is no such file")
        private.append(root / named)
    open_ = [f"{path} ({_mode(path):o})" for path in private if _mode(path) & 0o077]
    if folder.is_dir() and _mode(folder) & 0o077:
        open_.append(f"{folder}/ ({_mode(folder):o})")
    if open_:
        return Answer("fault", "keys", f"others may look into {', '.join(open_)}; chmod 600 the files, 700 the folder")
    return Answer("ok", "keys", f"{len(private)} private keys, each readable by you alone" if private else "none yet")


def _state(root: Path) -> Answer:
    path = root / ".slipway"
    if not path.is_dir():
        return Answer("ok", ".slipway", "not made yet")
    if _mode(path) & 0o022:
        return Answer("fault", ".slipway", f"others may write into {path} (mode {_mode(path):o}); chmod 700 {path}")
    if _mode(path) & 0o055:
        return Answer("note", ".slipway", f"others may read in {path} (mode {_mode(path):o}); chmod 700 {path}")
    return Answer("ok", ".slipway", "yours alone")


def _token() -> Answer:
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    path = Path(os.environ.get("HF_TOKEN_PATH") or f"{home}/token").expanduser()
    if not path.is_file():
        return Answer("ok", "hub token", "no file holds one")
    if _mode(path) & 0o077:
        return Answer("fault", "hub token", f"others may read {path} (mode {_mode(path):o}); chmod 600 {path}")
    return Answer("ok", "hub token", f"{path}, readable by you alone")


def _cache(root: Path) -> Answer:
    """DVC keeps pickles beside its cache (diskcache): whoever may write there can run code here."""
    site = Path(os.environ.get("DVC_SITE_CACHE_DIR") or "/var/tmp/dvc")  # noqa: S108  DVC's own choice
    shared = [str(path) for path in (root / ".dvc" / "cache", root / ".dvc" / "tmp", site) if _others(path)]
    if shared:
        return Answer(
            "fault", "dvc cache", f"others may write into {', '.join(shared)}; DVC keeps pickles there; chmod 700"
        )
    return Answer("ok", "dvc cache", f"others may not write into .dvc/ and {site}")


def _others(path: Path) -> bool:
    """Whether others may write into a directory that exists."""
    return path.is_dir() and bool(_mode(path) & 0o022)


def _diskcache() -> Answer:
    try:
        found = importlib.metadata.version("diskcache")
    except importlib.metadata.PackageNotFoundError:
        return Answer("ok", "diskcache", "not installed")
    text = "CVE-2025-69872, no fix: it reads pickles from its folder; that is why others may not write into DVC's"
    return Answer("note", "diskcache", f"{found}: {text}")


def _secrets(root: Path) -> Answer:
    """Text that has the form of a secret in what git keeps; only places are told. Tests hold made-up ones."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        return Answer("not run", "secrets", f"{root} is no git checkout, so it is not known what is kept")
    found, tests, skipped = [], 0, 0
    for name in filter(None, done.stdout.split("\0")):
        path = root / name
        try:
            if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
                skipped += path.is_file()
                continue
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            skipped += 1
            continue
        places = [f"{name}:{text.count(chr(10), 0, one.start) + 1}" for one in patterns.find(text, ("secret",))]
        if name.startswith("tests/"):
            tests += len(places)
        else:
            found += places
    if found:
        return Answer("fault", "secrets", f"in git: {', '.join(found[:5])}; revoke them and mend the history")
    beside = f"; {tests} in tests/, taken for made up" if tests else ""
    return Answer("ok", "secrets", f"none in what git keeps{beside}; {skipped} files not looked at (binary or large)")


def _accounts(root: Path) -> Answer:
    """The file, for no request tells it: what a new MLflow account may do."""
    path = Path(os.environ.get("MLFLOW_AUTH_CONFIG_PATH") or root / "infra" / "mlflow-auth.ini")
    if not path.is_file():
        return Answer("not run", "mlflow accounts", f"{path} is not there; only a server with logins needs it")
    match = re.search(r"^\s*default_permission\s*=\s*(\S+)", path.read_text("utf-8"), re.MULTILINE)
    if match is None or match[1] != "NO_PERMISSIONS":
        found = match[1] if match else "READ, as MLflow ships it"
        return Answer("fault", "mlflow accounts", f"{path}: default_permission is {found}; set NO_PERMISSIONS")
    return Answer("ok", "mlflow accounts", f"{path}: a new account may do nothing until it is granted")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
