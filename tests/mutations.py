"""Mutated files through every parser: what comes out is a finding, a refusal or a pass, and never another exception."""

import io
import json
import random
import signal
import struct
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway import items
from slipway.adapters.store import LocalStore
from slipway.errors import Refusal, UserError
from slipway.items import Item
from slipway.model import torch_files
from slipway.release import statement
from slipway.release.approvals import decisions
from slipway.release.bundle import manifest
from slipway.release.publishing import claim, pointer
from slipway.release.signing import envelope, keys, signature
from slipway.release.withdrawal import tombstone
from slipway.scan import containers, files, verdict
from slipway.scan.subject import Subject
from tests.scan.corpus import CARD, PAGE, clean_files
from tests.scan.corpus.clean import TEMPLATES
from tests.scan.corpus.configs import ADAPTER
from tests.scan.corpus.documents import png
from tests.scan.corpus.foreign import sentencepiece
from tests.scan.corpus.pickles import MAGIC, torch_zip
from tests.scan.corpus.weights import INDEX, _llama, _weights

SECONDS = 10
"""A parser that needs longer for a file of some kB hangs."""
ODD = (
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    2**70,
    1e308,
    1e-320,
    "",
    "a" * 5000,
    "\ud800",
    "\x00",
    "\u202e",
    "../x",
    "https://e.example",
    [],
    {},
    [[]] * 40,
    {"a": {"b": {"c": [1, {"d": None}]}}},
    "{{ x }}",
    "1",
    0.5,
    [None] * 300,
    {"": ""},
    "org/repo--a.B",
)


class Hang(BaseException):
    """Not an Exception, so that no parser takes it for a fault of the file."""


@dataclass(frozen=True)
class Target:
    """A parser, and a file that it takes."""

    name: str
    content: bytes
    parse: Callable[[bytes], object]
    weight: int = 10
    """How often it is chosen, against the others."""


@dataclass(frozen=True)
class Crash:
    """A mutated file that was neither judged nor refused."""

    name: str
    number: int
    trace: str


def _edit(rng: random.Random, value: Any) -> Any:
    """A JSON value with one node replaced, removed, repeated or put elsewhere."""
    value = json.loads(json.dumps(value))
    here = value
    while isinstance(here, dict | list) and here:
        key = rng.choice(list(here)) if isinstance(here, dict) else rng.randrange(len(here))
        if not isinstance(here[key], dict | list) or not here[key] or rng.random() < 0.35:
            match rng.randrange(5):
                case 0:
                    del here[key]
                case 1 if isinstance(here, dict):
                    here[str(rng.choice(ODD))] = here.pop(key)
                case 2 if isinstance(here, list):
                    here.insert(key, here[key])
                case _:
                    here[key] = rng.choice(ODD)
            return value
        here = here[key]
    return rng.choice(ODD)


def mutate(rng: random.Random, content: bytes, others: list[bytes]) -> bytes:
    """`content` with one to three changes."""
    with suppress(ValueError):
        if content[:1] in b"{[" and rng.random() < 0.6:
            text = json.dumps(_edit(rng, json.loads(content)), ensure_ascii=rng.random() < 0.9)
            return text.encode("utf-8", "surrogatepass")
    raw = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(raw) + 1)
        span = rng.choice((1, 2, 4, 8, 64, 500))
        match rng.randrange(8):
            case 0:
                for _ in range(rng.randint(1, 8)):
                    if raw:
                        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
            case 1:
                del raw[at:]
            case 2:
                other = rng.choice(others)
                start = rng.randrange(len(other))
                raw[at : at + rng.choice((0, span))] = other[start : start + span * 4]
            case 3:
                raw[at:at] = raw[at : at + span] * rng.choice((2, 30, 400))
            case 4:
                raw[at : at + span] = rng.randbytes(span)
            case 5:
                raw[at : at + span] = bytes(min(span, len(raw) - at))
            case 6:
                del raw[at : at + span]
            case _:
                numbers = (
                    struct.pack("<Q", rng.choice((2**63, 2**64 - 1, 2**31, 0))),
                    b"\xff" * span,
                    b"\x80" * 10,
                    "é\u2028".encode(),
                )
                raw[at : at + 8] = rng.choice(numbers)
    return bytes(raw)


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
    return [*targets, _manifest_beside(root)]


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
        "tombstone": (yanked, lambda data: tombstone.read(data, public), tombstone.TYPE),
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
        "claim": (next(iter(site.store.list("claims/tiny"))), lambda: claim.claims(site.store, "tiny")),
    }
    for name, (key, read) in where.items():
        held = site.store.read(key)[0]
        readers[name] = (held, _stored(site.store, key, read), pointer.POINTER if name == "pointer" else None)
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


@contextmanager
def _watched() -> Iterator[None]:
    def late(*_: object) -> None:
        raise Hang(f"longer than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(targets: list[Target], count: int, seed: int) -> tuple[dict[str, int], list[Crash]]:
    """`count` mutated files: (outcome -> how many, what was neither)."""
    rng = random.Random(seed)
    contents = [target.content for target in targets]
    outcomes = {"passed": 0, "found": 0, "refused": 0}
    crashes: list[Crash] = []
    for number, target in enumerate(rng.choices(targets, [target.weight for target in targets], k=count)):
        content = mutate(rng, target.content, contents)
        try:
            with _watched():
                found = target.parse(content)
            outcomes["found" if isinstance(found, list) and found else "passed"] += 1
        except (Refusal, UserError):
            outcomes["refused"] += 1
        except (Exception, Hang):  # noqa: BLE001  that is what is looked for
            crashes.append(Crash(target.name, number, traceback.format_exc(limit=-4)))
    return outcomes, crashes
