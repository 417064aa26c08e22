"""Mutated files through every parser: what comes out is a finding, a refusal or a pass, and never another exception."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from slipway import items
from slipway.adapters.store import LocalStore
from slipway.items import Item
from slipway.model import torch_files
from slipway.model.gguf import export
from slipway.release import statement
from slipway.release.approvals import decisions
from slipway.release.bundle import manifest
from slipway.release.publishing import claim, pointer
from slipway.release.signing import envelope, keyring, keys, signature
from slipway.release.withdrawal import tombstone
from slipway.scan import containers, files, gguf, verdict
from slipway.scan.subject import Subject
from tests.mutating import Target, run  # noqa: F401  `run` for those who take both from here
from tests.scan.corpus import CARD, PAGE, clean_files
from tests.scan.corpus.clean import TEMPLATES
from tests.scan.corpus.configs import ADAPTER
from tests.scan.corpus.documents import png
from tests.scan.corpus.foreign import sentencepiece
from tests.scan.corpus.pickles import MAGIC, torch_zip
from tests.scan.corpus.weights import INDEX, _llama, _weights
from tests.tiny_gguf import directory


def _scanned(root: Path, name: str, siblings: Mapping[str, bytes]) -> Callable[[bytes], object]:
    """All checkers of the kind of `name`, called as the verdict calls them, but without its net."""
    folder = root / name.replace("/", "_")
    for other, content in {**siblings, name: b"x"}.items():
        (folder / other).parent.mkdir(parents=True, exist_ok=True)
        (folder / other).write_bytes(content)
    checkers = verdict.CHECKERS.get(files.kind(name) or "", (containers.check,))

    def parse(content: bytes) -> object:
        (folder / name).write_bytes(content)
        found = []
        for checker in checkers:
            found += checker(Subject(folder / name, name, len(content), frozenset({name, *siblings})))
        return [finding.model_dump_json() for finding in found]

    return parse


def _table() -> bytes:
    rows = [
        Item("task", "model", f"item-{n}", f"f{n % 3}", f"{n:064x}", float(n % 2), 1.0, 17, (0.5, 0.25), 1, 1)
        for n in range(60)
    ]
    path = io.BytesIO()
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([{f: getattr(row, f) for f in Item.__slots__} for row in rows], items.schema())
    pq.write_table(table, path)
    return path.getvalue()


def _pictures() -> dict[str, bytes]:
    from PIL import Image

    found = {"figure.png": png((b"tEXt", b"Title\0x"))}
    for name, kind in (("figure.jpg", "JPEG"), ("figure.webp", "WEBP")):
        stream = io.BytesIO()
        Image.new("RGB", (9, 7), (200, 10, 30)).save(stream, kind)
        found[name] = stream.getvalue()
    return found


def _words() -> bytes:
    """A tokenizer.json as the library writes it."""
    from tests.scan.corpus.clean import tokenizer

    return tokenizer("bytes").backend_tokenizer.to_str().encode()


def _scan_files() -> dict[str, tuple[bytes, dict[str, bytes], int]]:
    """Name -> content, files beside it, weight: every kind of file that the scan reads."""
    clean = {
        name: content if isinstance(content, bytes) else content.encode() for name, content in clean_files().items()
    }
    weights, config = _weights(), _llama().encode()
    shard = "model-00001-of-00001.safetensors"
    index = json.dumps(
        {
            "metadata": {"total_size": 1},
            "weight_map": {
                "model.norm.weight": shard,
                "model.embed_tokens.weight": shard,
                **{f"model.layers.{n}.mlp.down_proj.weight": shard for n in (0, 1)},
            },
        }
    ).encode()
    words = _words()
    chat = {
        "chat_template": TEMPLATES["chatml"],
        "added_tokens_decoder": {"0": {"content": "<s>", "special": True}},
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    return {
        **{
            name: (clean[name], {}, 10)
            for name in ("config.json", "generation_config.json", "tokenizer.json", "LICENSE", "records/train.json")
        },
        "model.safetensors": (weights, {"config.json": config}, 30),
        INDEX: (index, {shard: weights}, 15),
        "adapter_config.json": (json.dumps(ADAPTER).encode(), {}, 10),
        "README.md": (CARD.encode() + b"\n| a |\n|---|\n| `b` |\n\n1. [x](y 'z')\n", {}, 20),
        "report.html": (PAGE.encode(), {}, 15),
        "added_tokens.json": (b'{"<a>": 1}', {}, 5),
        "special_tokens_map.json": (
            b'{"bos_token": {"content": "<s>", "lstrip": false}, "additional_special_tokens": ["<a>"]}',
            {},
            5,
        ),
        "vocab.json": (json.dumps(json.loads(words)["model"]["vocab"]).encode(), {}, 5),
        "merges.txt": (b"#version: 0.2\nt h\nth e\n", {}, 5),
        "vocab.txt": ("[PAD]\nthe\n##é\n".encode(), {}, 5),
        "preprocessor_config.json": (b'{"image_processor_type": "ViTImageProcessor", "size": {"height": 2}}', {}, 5),
        "tokenizer.model": (sentencepiece(["<unk>", "▁a", "b", "▁"]), {}, 20),
        "qwen.tiktoken": (b"YQ== 0\nYg== 1\n", {}, 5),
        "records/evaluate_items.parquet": (_table(), {}, 15),
        "chat_template.jinja": (TEMPLATES["instruct"].encode(), {}, 2),
        "tokenizer_config.json": (json.dumps(chat).encode(), {}, 2),
        "bom.cdx.json": (b'{"bomFormat": "CycloneDX", "components": [{"name": "a"}]}', {}, 5),
        "provenance.json": (b'{"stages": {"train": {"settings": {"steps": 2}}}}', {}, 5),
        **{name: (content, {}, 10) for name, content in _pictures().items()},
        "pytorch_model.bin": (torch_zip(b"\x80\x02}q\x00."), {}, 10),
        "model.pt": (MAGIC + MAGIC + b"\x80\x02}.", {}, 5),
        "unknown.xyz": (b"\x1f\x8b\x08" + b"x" * 40, {}, 5),
    }


def scan_targets(root: Path) -> list[Target]:
    """Every kind of file that the scan reads, with the scan as its parser."""
    targets = [
        Target(f"scan {n}", content, _scanned(root, n, beside), weight)
        for n, (content, beside, weight) in _scan_files().items()
    ]
    targets.append(
        Target("scan tokenizer.json by the library", _words(), _scanned(root / "words", "tokenizer.json", {}), 5)
    )
    return [*targets, _manifest_beside(root), *_exported(root / "gguf")]


def _exported(root: Path) -> Iterator[Target]:
    """A GGUF file, and each document beside it from which its header is derived."""
    directory(root, talks=True)
    export(root, root / "model.gguf", "q8_0")
    names = frozenset(path.name for path in root.iterdir())

    def judged(path: Path, whole: bytes) -> Callable[[bytes], object]:
        def parse(content: bytes) -> object:
            path.write_bytes(content)
            try:
                size = (root / "model.gguf").stat().st_size
                found = list(gguf.check(Subject(root / "model.gguf", "model.gguf", size, names)))
            finally:
                path.write_bytes(whole)
            return [finding.model_dump_json() for finding in found]

        return parse

    for name in ("model.gguf", "config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        whole = (root / name).read_bytes()
        yield Target(f"scan GGUF, {name}", whole, judged(root / name, whole), 15 if name == "model.gguf" else 4)


def _manifest_beside(root: Path) -> Target:
    folder = root / "sealed"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    content = json.dumps(
        {"format": "slipway-manifest-1", "name": "x", "files": {"config.json": {"bytes": 2, "sha256": "ab"}}}
    ).encode()

    def parse(changed: bytes) -> object:
        (folder / "manifest.json").write_bytes(changed)
        return verdict._judge_manifest(folder, {"config.json": 2, "manifest.json": len(changed)}, "")

    return Target("scan manifest.json in a bundle", content, parse)


def _stored(store: LocalStore, key: str, read: Callable[[], object]) -> Callable[[bytes], object]:
    path = Path(store.url.removeprefix("file://")) / key

    def parse(content: bytes) -> object:
        path.chmod(0o644)
        path.write_bytes(content)
        return read()

    return parse


def release_targets(site: Any) -> list[Target]:
    """Every document of a release: as it lies there, and as its own key would sign it changed."""
    owned = site.release()
    folder, public, signer = site.staged(owned), site.public, site.signer
    digest = owned.manifest_sha256
    ring = keyring.read(site.store, public)
    decision = decisions.sign(decisions.made("can", digest, "approve", None, ""), signer)
    yanked = tombstone.write(
        tombstone.Yanked(
            name="tiny",
            version="v1",
            manifest_sha256=digest,
            reason="x",
            time="2026-01-01T00:00:00+00:00",
            replaced_by=None,
        ),
        signer,
    )
    readers: dict[str, tuple[bytes, Callable[[bytes], object], str | None]] = {
        "statement": (
            (folder / "statement.json").read_bytes(),
            lambda data: statement.summary(statement.read(data, public)[1]),
            statement.IN_TOTO,
        ),
        "decision": (decision, lambda data: decisions.check(data, {"can": public}, digest, "x"), decisions.TYPE),
        "tombstone": (yanked, lambda data: tombstone.read(data, ring), tombstone.TYPE),
        "manifest": ((folder / "manifest.json").read_bytes(), manifest.parse, None),
        "model.sig": (
            (folder / "model.sig").read_bytes(),
            lambda data: (signature.read(data, public), signature.signed_by(data)),
            None,
        ),
        "model.sig, whose": ((folder / "model.sig").read_bytes(), signature.signed_by, None),
        "envelope, unproved": (decision, lambda data: envelope.claimed(data, "x"), None),
        "decision, a line": (
            decisions.as_line(decision).encode(),
            lambda data: decisions.from_line(data.decode("utf-8", "replace")),
            None,
        ),
        "public key": (public, lambda data: keys.canonical(data, "x"), None),
    }
    where = {
        "pointer": (
            pointer.pointer_key("tiny", "stable"),
            lambda: pointer.read_pointer(site.store, "tiny", "stable", public),
        ),
        "claim": (next(iter(site.store.list("claims/tiny"))), lambda: claim.claims(site.store, "tiny", site.public)),
    }
    for name, (key, read) in where.items():
        held = site.store.read(key)[0]
        readers[name] = (held, _stored(site.store, key, read), pointer.POINTER if name == "pointer" else claim.TYPE)
    targets = [Target(f"release {name}", content, read) for name, (content, read, _) in readers.items()]
    for name, (content, read, kind) in readers.items():
        if kind:
            payload = json.dumps(envelope.claimed(content, name)).encode()
            targets.append(Target(f"release {name}, signed again", payload, _resigned(read, kind, signer)))
    return targets


def _resigned(read: Callable[[bytes], object], kind: str, signer: Any) -> Callable[[bytes], object]:
    def parse(content: bytes) -> object:
        try:
            sealed = envelope.seal(json.loads(content), kind, signer)
        except (ValueError, TypeError, RecursionError):
            return None  # nothing that can be signed
        return read(sealed)

    return parse


def foreign_targets(root: Path) -> list[Target]:
    """The look at files of torch.save, before anything loads them."""
    import torch

    found = []
    for name, zipped in (("zip", True), ("legacy", False)):
        stream = io.BytesIO()
        torch.save({"a": torch.ones(3), "b": torch.ones(2, 2).half()}, stream, _use_new_zipfile_serialization=zipped)
        path = root / f"{name}.pt"

        def parse(content: bytes, path: Path = path) -> object:
            path.write_bytes(content)
            return torch_files.check(path)

        found.append(Target(f"import {name}", stream.getvalue(), parse))
    return found
