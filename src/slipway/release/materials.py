"""What a release was made of, for its statement: commit, recipe, locks, data, base, and what every stage read and made.

Digests only. The paths of each stage's files are in `provenance.json` of the bundle, which stands here by its digest.
"""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from slipway.errors import UserError
from slipway.files import combined, sha256_bytes, sha256_file
from slipway.records import read_record, read_report

LOCKS = ("params.yaml", "inputs.lock", "dvc.yaml", "dvc.lock", "constraints.txt")
BUNDLED = ("recipe.json", "bom.cdx.json", "provenance.json", "README.md", "DATA.md")
FORGES = ("github.com", "gitlab.com", "codeberg.org", "bitbucket.org", "huggingface.co", "git.sr.ht")
"""Hosts whose address may be told: that of another may be nobody's business outside of the company."""


def git_state(root: Path) -> dict[str, Any]:
    """Commit, changed tracked files and public address; `{"commit": None, …}` outside a repository."""

    def ask(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=root, capture_output=True, text=True, check=False, timeout=60
            )
        except FileNotFoundError:
            return None
        return done.stdout if done.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None, "changed": [], "uri": None}
    changed = sorted(line[3:] for line in (ask("status", "--porcelain", "--untracked-files=no") or "").splitlines())
    uri = _public((ask("remote", "get-url", "origin") or "").strip())
    return {"commit": commit.strip(), "dirty": bool(changed), "changed": changed, "uri": uri}


def _public(address: str) -> str | None:
    """The address of a repository without user and password, if its host is a public forge."""
    if address.startswith("git@") and ":" in address:
        address = f"https://{address.removeprefix('git@').replace(':', '/', 1)}"
    parts = urlsplit(address)
    if parts.hostname not in FORGES or parts.scheme not in ("https", "ssh"):
        return None
    return f"git+https://{parts.hostname}{parts.path}"


def resolved(root: Path) -> list[dict[str, Any]]:
    """What went in, as SLSA's resolved dependencies: locks, recipe, commit, data sources, base, teacher, tasks."""
    found: list[dict[str, Any]] = [
        {"name": name, "digest": {"sha256": sha256_file(root / name)}} for name in LOCKS if (root / name).is_file()
    ]
    git = git_state(root)
    if git["commit"]:
        notes = {"dirty": git["dirty"], "changed": git["changed"]}
        entry = {"name": "git", "digest": {"gitCommit": git["commit"]}, "annotations": notes}
        found.append(entry | ({"uri": f"{git['uri']}@{git['commit']}"} if git["uri"] else {}))
    try:
        acquired = read_report(root / "reports" / "acquire.json")
    except UserError:
        return found  # a bundle that was brought from elsewhere; the statement names no data then
    found += [
        _input("data", source.source, source.digest, source.licence, source.version) for source in acquired.sources
    ]
    for kind in ("base", "teacher"):
        if (held := getattr(acquired, kind)) is not None:
            found.append(_input(kind, held.location, held.digest, held.licence, held.version))
    found += [_input("task", task.name, task.digest, task.licence, None) for task in acquired.tasks]
    return found


def _input(kind: str, name: str, digest: str, licence: str | None, version: str | None) -> dict[str, Any]:
    notes = {"kind": kind, "licence": licence or "none stated", "version": version or "none"}
    return {"name": name, "digest": {"sha256": digest}, "annotations": notes}


def byproducts(root: Path) -> list[dict[str, Any]]:
    """What came out beside the weights: each stage's report, the chain of checkpoints, bill of materials and cards."""
    locked = _locked(root)
    found = [_stage(path, locked.get(path.stem, {})) for path in sorted((root / "reports").glob("*.json"))]
    if chain := _chain(root / "reports" / "train.json"):
        found.append(chain)
    files = ((name, root / "bundle" / name) for name in BUNDLED)
    return found + [{"name": name, "digest": {"sha256": sha256_file(path)}} for name, path in files if path.is_file()]


def _locked(root: Path) -> dict[str, Any]:
    """Stage -> what dvc.lock says of it; empty where nothing was built by DVC."""
    from ruamel.yaml import YAML

    path = root / "dvc.lock"
    if not path.is_file():
        return {}
    return dict((YAML(typ="safe").load(path.read_text("utf-8")) or {}).get("stages", {}))


def _stage(path: Path, locked: Mapping[str, Any]) -> dict[str, Any]:
    """A report with its digest and, if a stage wrote it, command, code and one digest each of all it read and wrote."""
    entry: dict[str, Any] = {"name": f"reports/{path.name}", "digest": {"sha256": sha256_file(path)}}
    try:
        record = read_record(path)
    except UserError:
        return entry
    notes: dict[str, Any] = {
        "stage": record.stage,
        "slipway": record.slipway,
        "inputs": {"files": len(record.inputs), "sha256": combined(record.inputs)},
        "outputs": {"files": len(record.outputs), "sha256": combined(record.outputs)},
    }
    if locked:
        code = {
            dep["path"]: dep["md5"] for dep in locked.get("deps", []) if dep["path"].startswith(("src/", "pipelines/"))
        }
        notes |= {"command": locked["cmd"], "code": {"files": code, "sha256": combined(code)}}
        notes["dvc"] = {out["path"]: out["md5"] for out in locked.get("outs", [])}
    return entry | {"annotations": notes}


def _chain(path: Path) -> dict[str, Any] | None:
    """The chain of checkpoints that training recorded: how long it is, its end, and one digest over all."""
    try:
        steps = [[step, digest] for step, digest in read_report(path).checkpoints]
    except UserError:
        return None
    if not steps:
        return None
    digest = sha256_bytes(json.dumps(steps, separators=(",", ":")).encode())
    return {
        "name": "checkpoint chain",
        "digest": {"sha256": digest},
        "annotations": {"checkpoints": len(steps), "last": steps[-1], "of": "[[step, sha256], …] in compact JSON"},
    }
