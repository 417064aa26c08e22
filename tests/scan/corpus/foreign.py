"""Formats that a release does not hold, programs, odd names, links, and sentencepiece models."""

import io
import json
import os
import socket
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.scan.corpus import CARD, header, tensor
from tests.scan.corpus.case import FORMAT, Case, many

GOOD, DATA = {"a": tensor()}, b"\0\0\x80\x3f"
UNKNOWN = ("file.", "format.", "content.")


def _numpy(mark: Path) -> list[Case]:
    class Call:
        def __reduce__(self):
            return os.system, (f"touch {mark}",)

    def saved(array: object, *, pickled: bool = False) -> bytes:
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=pickled)
        return stream.getvalue()

    boxed = np.array([Call()], dtype=object)
    stream = io.BytesIO()
    np.savez(stream, a=np.ones(3))
    with_call = io.BytesIO()
    np.savez(with_call, a=boxed)
    return many(
        "numpy",
        FORMAT,
        {
            "objects": ("data.npy", saved(boxed, pickled=True)),
            "objects as weights": ("model.safetensors", saved(boxed, pickled=True)),
            "plain": ("data.npy", saved(np.ones(3))),
            "npz": ("data.npz", stream.getvalue()),
            "npz with objects": ("weights.npz", with_call.getvalue()),
            "plain as configuration": ("config.json", saved(np.ones(3))),
        },
    )


def gguf(version: int = 3, tensors: int = 0, keys: int = 0, body: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + body


def _gguf() -> list[Case]:
    template = b"tokenizer.chat_template"
    text = b"{{ cycler.__init__.__globals__.os.popen('id') }}"
    entry = struct.pack("<Q", len(template)) + template + struct.pack("<IQ", 8, len(text)) + text
    return many(
        "GGUF",
        (*UNKNOWN, "gguf."),
        {
            "no tensors": ("model.gguf", gguf()),
            "counts beyond the file": ("model.gguf", gguf(tensors=2**60)),
            "keys beyond the file": ("model.gguf", gguf(keys=2**60)),
            "template that breaks out": ("model.gguf", gguf(keys=1, body=entry)),
            "as weights": ("model.safetensors", gguf()),
            "version 99": ("model.gguf", gguf(version=99)),
            "text beyond the file": ("model.gguf", gguf(keys=1, body=struct.pack("<Q", 2**62))),
        },
    )


def _field(number: int, content: bytes | int) -> bytes:
    def varint(value: int) -> bytes:
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes([*out, value])

    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def _onnx() -> list[Case]:
    outside = _field(13, _field(1, b"location") + _field(2, b"../../etc/passwd"))
    weights = _field(8, b"w") + outside + _field(14, 1)
    model = _field(1, 8) + _field(7, _field(5, weights) + _field(2, b"g"))
    operator = _field(1, 8) + _field(7, _field(1, _field(4, b"PyOp") + _field(7, b"ai.onnx.contrib")))
    return many(
        "ONNX",
        UNKNOWN,
        {
            "weights outside": ("model.onnx", model),
            "python operator": ("model.onnx", operator),
            "as weights": ("pytorch_model.bin", model),
            "in a directory": ("onnx/model.onnx", model),
        },
    )


def _keras() -> list[Case]:
    stream = io.BytesIO()
    layer = {"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wEA"}}}}
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("config.json", json.dumps({"module": "keras", "config": {"layers": [layer]}}))
        archive.writestr("metadata.json", "{}")
    hdf5 = b"\x89HDF\r\n\x1a\n" + b"\0" * 512
    return many(
        "Keras and TensorFlow",
        UNKNOWN,
        {
            "keras zip": ("model.keras", stream.getvalue()),
            "keras as weights": ("model.safetensors", stream.getvalue()),
            "hdf5": ("tf_model.h5", hdf5),
            "hdf5 as weights": ("model.safetensors", hdf5),
            "saved model": ("saved_model.pb", _field(1, 1) + _field(2, b"x" * 40)),
            "TensorFlow Lite": ("model.tflite", b"\x1c\0\0\0TFL3" + b"\0" * 40),
            "msgpack": ("flax_model.msgpack", b"\x81\xa6params\x80"),
            "checkpoint of orbax": ("checkpoint", 'model_checkpoint_path: "x"\n'),
        },
    )


def _programs() -> list[Case]:
    return many(
        "programs and sources",
        UNKNOWN,
        {
            "python": ("modeling_evil.py", "import os"),
            "path configuration": ("evil.pth", "import os; os.system('id')"),
            "shell": ("run.sh", "#!/bin/sh\ntouch x\n"),
            "notebook": ("demo.ipynb", json.dumps({"cells": []})),
            "ELF": ("libx.so", b"\x7fELF\x02\x01\x01" + b"\0" * 40),
            "ELF as licence": ("LICENSE", b"\x7fELF\x02\x01\x01" + b"\0" * 40),
            "Windows": ("x.exe", b"MZ" + b"\0" * 60),
            "Windows as weights": ("model.safetensors", b"MZ" + b"\0" * 60),
            "Mach-O": ("x.dylib", b"\xcf\xfa\xed\xfe" + b"\0" * 40),
            "Java": ("X.class", b"\xca\xfe\xba\xbe" + b"\0" * 40),
            "WebAssembly": ("x.wasm", b"\0asm\x01\0\0\0"),
            "script as licence": ("LICENSE", "#!/bin/sh\ntouch x\n"),
            "compiled python": ("modeling.pyc", b"\xa7\r\r\n" + b"\0" * 12),
            "generate": ("custom_generate/generate.py", "x"),
            "wheel": ("evil-1-py3-none-any.whl", b"PK\x05\x06" + b"\0" * 18),
            "batch": ("x.bat", "@echo off\r\n"),
            "JavaScript": ("index.js", "fetch('https://evil.example')"),
            "PDF": ("paper.pdf", b"%PDF-1.7\n/OpenAction"),
            "SQLite": ("x.db", b"SQLite format 3\0" + b"\0" * 84),
            "shortcut": ("x.desktop", "[Desktop Entry]\nExec=id\n"),
        },
    )


def _data() -> list[Case]:
    return many(
        "data",
        (*UNKNOWN, "items."),
        {
            "parquet": ("train.parquet", b"PAR1" + b"x" * 40 + b"PAR1"),
            "arrow": ("data.arrow", b"ARROW1\0\0" + b"\0" * 40),
            "csv": ("train.csv", "a,b\n"),
            "jsonl": ("train.jsonl", "{}\n"),
            "parquet as weights": ("model.safetensors", b"PAR1" + b"x" * 40 + b"PAR1"),
            "record": ("records/evil.json", "{}"),
            "item table that is none": ("records/evaluate_items.parquet", b"PAR1" + b"x" * 40 + b"PAR1"),
        },
    )


def _names() -> list[Case]:
    weights = header(GOOD, DATA)
    found = many(
        "names",
        ("file.",),
        {
            "hidden": (".env", "A=1"),
            "hidden directory": (".cache/x.json", "{}"),
            "dash": ("-rf.safetensors", weights),
            "direction": ("model\u202e.safetensors", weights),
            "new line": ("a\nb.json", "{}"),
            "backslash": ("..\\config.json", "{}"),
            "case": ("readme.md", CARD),
            "full width": ("ＲＥＡＤＭＥ.md", CARD),
            "space": ("my model.safetensors", weights),
            "dots": ("a..safetensors", weights),
            "letters of another script": ("соnfig.json", "{}"),
            "escape": ("a\x1b[2J.json", "{}"),
            "percent": ("%2e%2e%2fconfig.json", "{}"),
            "dollar": ("$(touch x).json", "{}"),
            "semicolon": ("a;id.json", "{}"),
            "colon": ("config.json:evil", "{}"),
            "device of Windows": ("CON.json", "{}"),
            "ends with a dot": ("config.json.", "{}"),
            "double ending": ("model.safetensors.py", "x"),
            "empty": ("NOTICE", b""),
        },
    )
    return [
        *found,
        Case("tilde", "names", {"~root.json": "{}"}, ("file.",)),
        Case("not UTF-8", "names", change=_odd_bytes),
    ]


def _odd_bytes(directory: Path) -> None:
    Path(os.fsdecode(os.fsencode(directory) + b"/mod\xffel.safetensors")).write_bytes(header(GOOD, DATA))


def _replaced(name: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        (directory / name).unlink(missing_ok=True)
        make(directory / name)

    return change


def _listening(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket has at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _hard_link(directory: Path) -> None:
    outside = directory.parent / f"{directory.name}-outside"
    outside.write_text("x")
    os.link(outside, directory / "NOTICE")


def _links() -> list[Case]:
    changes: dict[str, tuple[Callable[[Path], None], str]] = {
        "link to a file": (_replaced("LICENSE", lambda p: p.symlink_to("/etc/hostname")), "file.symlink"),
        "link to nothing": (_replaced("LICENSE", lambda p: p.symlink_to("/nonexistent")), "file.symlink"),
        "link to a directory": (_replaced("records2", lambda p: p.symlink_to("/etc")), "file.symlink"),
        "link to itself": (_replaced("NOTICE", lambda p: p.symlink_to(p.name)), "file.symlink"),
        "link as weights": (_replaced("model.safetensors", lambda p: p.symlink_to("/dev/zero")), "file.symlink"),
        "hard link": (_hard_link, "file.hardlink"),
        "pipe": (_replaced("NOTICE", os.mkfifo), "file.special"),
        "pipe as weights": (_replaced("model.safetensors", os.mkfifo), "file.special"),
        "socket": (_replaced("NOTICE", _listening), "file.special"),
        "deep directories": (lambda d: (d / "/".join("abcdefgh" * 8)).mkdir(parents=True), "file.directory"),
        "directory as a file": (_replaced("NOTICE", Path.mkdir), "file."),
    }
    found = [Case(name, "links and special files", {}, (rule,), change) for name, (change, rule) in changes.items()]
    return [
        *found,
        Case("nothing at all", "links and special files", {}, ("scan.empty",), lambda d: d.mkdir(exist_ok=True), True),
    ]


def sentencepiece(pieces: list[str], **normalizer: object) -> bytes:
    """A model as sentencepiece writes it, with these pieces."""
    made = b""
    for number, piece in enumerate(pieces):
        made += _field(
            1, _field(1, piece.encode()) + b"\x15" + struct.pack("<f", -number) + _field(3, 2 if number == 0 else 1)
        )
    return made + _field(2, _field(3, 1)) + _field(3, _field(1, str(normalizer.get("name", "identity")).encode()))


def _sentencepieces() -> list[Case]:
    good = sentencepiece(["<unk>", "▁a", "b"])
    return many(
        "sentencepiece",
        ("sentencepiece.", "tokenizer.", "spm.", "format.", "content.", "file.", "text."),
        {
            "piece an address": ("tokenizer.model", sentencepiece(["<unk>", "https://evil.example/x"])),
            "no message": ("tokenizer.model", b"\xff" * 64),
            "bytes behind": ("tokenizer.model", good + b"\0evil"),
            "unknown field": ("tokenizer.model", good + _field(999, b"x" * 99)),
            "length beyond the file": ("tokenizer.model", b"\x0a\xff\xff\xff\xff\x0f"),
            "no pieces": ("tokenizer.model", _field(2, b"")),
            "pickle": ("spiece.model", b"\x80\x02cos\nsystem\n(S'id'\ntR."),
            "secret in a piece": ("tokenizer.model", sentencepiece(["<unk>", "ghp_" + "a1B2" * 9])),
        },
    )


def cases(mark: Path) -> list[Case]:
    return [
        *_numpy(mark),
        *_gguf(),
        *_onnx(),
        *_keras(),
        *_programs(),
        *_data(),
        *_names(),
        *_links(),
        *_sentencepieces(),
    ]
