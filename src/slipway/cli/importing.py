"""`slipway import`."""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from slipway.errors import Refusal, UserError

BESIDE = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model", "LICENSE",
    "NOTICE", "preprocessor_config.json", "chat_template.jinja",
)  # fmt: skip
"""Files that are copied with the weights if a scan finds nothing in them."""
LARGEST = 1 << 28
"""Bytes of a file beside the weights."""


def _copy(source: Path, folder: Path) -> list[str]:
    """Copy what lies beside the weights and is clean; returns a line for each file that was left out.

    Raises:
        Refusal: if it is config.json that is not clean: without it nobody knows what the weights are.
    """
    from slipway.scan.isolation import Task, judge

    left = []
    # Judged is the copy, each in a directory of its own: nothing changes it, and nothing beside it matters.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        copies: dict[str, Path] = {}
        for number, name in enumerate(BESIDE):
            path = source / name
            if path.is_symlink() or not path.is_file():
                continue
            copies[name] = Path(scratch) / str(number) / name
            copies[name].parent.mkdir()
            with path.open("rb") as stream:
                copies[name].write_bytes(stream.read(LARGEST + 1))
        reports = judge([Task(copy, LARGEST) for copy in copies.values()])
        for (name, copy), report in zip(copies.items(), reports, strict=True):
            if report.passed:
                copy.replace(folder / name)
                continue
            why = f"{report.findings[0].rule}: {report.findings[0].reason}"
            if name == "config.json":
                raise Refusal(f"{source / name}: {why}. {report.findings[0].remedy}; then import again")
            left.append(f"{name} ({why})")
    return left


def _scanned(folder: Path) -> int:
    """That a scan finds nothing in what was made; returns how many files there are.

    Raises:
        Refusal: with the findings.
    """
    from slipway.scan.incoming import scan_input

    report = scan_input(folder)
    if not report.passed:
        told = [f"{finding.rule}  {finding.path}: {finding.reason}" for finding in report.findings[:5]]
        raise Refusal("\n  ".join(["the scan refuses what was made of it, so nothing is imported:", *told]))
    return report.files_scanned


def import_(arguments: argparse.Namespace) -> int:
    """Turn foreign weights in pickle (pytorch_model.bin, .pt) into safetensors.

    SOURCE is a file of torch.save, or a directory with one, or with shards and their index. It is loaded in a process
    without network, secrets or rights, which accepts tensors and nothing else; TARGET, a new directory, appears when
    the result has been scanned. Configuration and tokenizer are copied if they are clean. See docs/importing.md.
    """
    from slipway.model import foreign
    from slipway.progress import Progress

    source, target = Path(arguments.source), Path(arguments.target)
    if target.exists() or target.is_symlink():
        raise UserError(f"{target}: is there already; give the name of a new directory")
    if not target.parent.is_dir():
        raise UserError(f"{target.parent}: there is no such directory; make it first")
    found = foreign.find(source)
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.importing-"))
    try:
        tensors = foreign.convert_all(found, folder, key=arguments.key or "", progress=Progress("import"))
        left = _copy(source, folder) if source.is_dir() else []
        files = _scanned(folder)
        folder.chmod(0o755)
        os.rename(folder, target)  # noqa: PTH104  an empty directory made meanwhile would be replaced, a full one not
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    print(f"{target}: {tensors} tensors in safetensors, {files} files, scanned")
    for line in left:
        print(f"left out: {line}")
    return 0


import_.__name__ = "import"  # the command's name is a word of the language
