"""Safetensors files whose header lies, whose numbers are none, or that do not fit their configuration; and indexes."""

import json
import struct

import numpy as np

from tests.scan.corpus import header, tensor
from tests.scan.corpus.case import Case, many

ST, INDEX = "model.safetensors", "model.safetensors.index.json"
GOOD, DATA = {"a": tensor()}, b"\0\0\x80\x3f"
GITHUB = "ghp_" + "a1B2" * 9
TWICE = f'{{"a": {json.dumps(tensor())}, "a": {json.dumps(tensor())}}}'
NESTED = "[" * 5000 + "]" * 5000
WIDTH = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "F8_E5M2": 1, "F8_E4M3": 1, "C64": 8}


def packed(tensors: dict[str, tuple[str, tuple[int, ...], bytes]], **metadata: str) -> bytes:
    """A safetensors file: name -> (dtype, shape, bytes)."""
    entries: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    data = b""
    for name, (dtype, shape, raw) in tensors.items():
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    return header(entries, data)


def _header() -> list[Case]:
    bad = {
        "seven bytes": (b"\x01\0\0\0\0\0\0", "size"),
        "eight bytes": (b"\x01\0\0\0\0\0\0\0", "size"),
        "header of 2^63": (struct.pack("<Q", 2**63) + b"{}", "size"),
        "header of 2^64-1": (b"\xff" * 8 + b"{}", "size"),
        "header past the end": (struct.pack("<Q", 999) + b"{}", "size"),
        "header of 26 MB": (header(GOOD, DATA, 26 << 20), "size"),
        "header of nothing": (struct.pack("<Q", 0) + b"{", ""),
        "header a list": (header("[1]"), "header"),
        "space before": (header(" " + json.dumps(GOOD), DATA), "header"),
        "no tensor": (header({"__metadata__": {"format": "pt"}}), "header"),
        "empty": (header({}), "header"),
        "tensor twice": (header(TWICE, DATA), "duplicate"),
        "deep": (header('{"a": ' + NESTED + "}"), "depth"),
        "not UTF-8": (struct.pack("<Q", 4) + b'{"\xff"', "encoding"),
        "unknown dtype": (header({"a": tensor(dtype="PICKLE")}, DATA), "dtype"),
        "dtype a list": (header({"a": tensor(dtype=["F32"])}, DATA), "dtype"),
        "dtype null": (header({"a": tensor(dtype=None)}, DATA), "dtype"),
        "extra field": (header({"a": {**tensor(), "code": "x"}}, DATA), "header"),
        "negative shape": (header({"a": tensor(shape=(-1, -1))}, DATA), "header"),
        "shape true": (header({"a": tensor(shape=(True,))}, DATA), "header"),
        "shape a fraction": (header({"a": tensor(shape=(1.0,))}, DATA), "header"),
        "huge shape": (header({"a": tensor(shape=(2**62, 2**62))}, DATA), "span"),
        "product wraps round": (header({"a": tensor(shape=(2**32, 2**32, 1))}, DATA), "span"),
        "shape and span differ": (header({"a": tensor(shape=(2,))}, DATA), "span"),
        "offsets past the end": (header({"a": tensor(0, 400, (100,))}, DATA), "bounds"),
        "offsets backwards": (header({"a": tensor(4, 0)}, DATA), "bounds"),
        "negative offset": (header({"a": tensor(-4, 0)}, DATA), "header"),
        "three offsets": (header({"a": {**tensor(), "data_offsets": [0, 2, 4]}}, DATA), "bounds"),
        "overlap": (header({"a": tensor(), "b": tensor()}, DATA), "overlap"),
        "hole": (header({"a": tensor(4, 8)}, DATA * 2), "hole"),
        "hole between": (header({"a": tensor(), "b": tensor(8, 12)}, DATA * 3), "hole"),
        "tail": (header(GOOD, DATA + b"evil"), "tail"),
        "entry a number": (header({"a": 1}, DATA), "header"),
        "NaN in the header": (header('{"a": NaN}', DATA), "constant"),
        "zero bytes behind the header": (struct.pack("<Q", 4) + b"{}\0\0", ""),
        "cut short": (header({"a": tensor(0, 400, (100,))}, DATA * 99), "bounds"),
    }
    return [Case(name, "safetensors header", {ST: raw}, (f"safetensors.{rule}",)) for name, (raw, rule) in bad.items()]


def _names() -> list[Case]:
    names = {
        "dots": "../a",
        "leading slash": "/a",
        "direction": "a\u202eb",
        "zero byte": "a\0b",
        "space": "a b",
        "dollar": "$(x)",
        "zero width": "a\u200bb",
        "new line": "a\nb",
        "backslash": "..\\a",
        "too long": "a" * 600,
        "none": "",
        "other script": "wеight",
    }
    found = [
        Case(name, "tensor name", {ST: header({value: tensor()}, DATA)}, ("safetensors.name",))
        for name, value in names.items()
    ]
    metadata = {
        "a number": {"a": 1},
        "a list": [],
        "an object": {"a": {"b": "c"}},
        "null": None,
        "control characters": {"note": "a\x1b[2Jb"},
        "direction": {"note": "a\u202eb"},
    }
    found += [
        Case(
            name, "safetensors metadata", {ST: header({"__metadata__": value, **GOOD}, DATA)}, ("safetensors.metadata",)
        )
        for name, value in metadata.items()
    ]
    secret = {
        "GitHub token": GITHUB,
        "AWS key": "AKIA" + "ABCDEFGHIJKLMNOP",
        "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
        "hub token": "hf_" + "aB3" * 12,
        "password in an address": "postgres://user:s3cret99@db/x",
    }
    found += [
        Case(
            f"{name} in metadata",
            "secrets",
            {ST: header({"__metadata__": {"by": value}, **GOOD}, DATA)},
            ("text.secret",),
        )
        for name, value in secret.items()
    ]
    person = {"e-mail": "jane.doe@example.org", "card": "4111 1111 1111 1111", "IBAN": "DE89370400440532013000"}
    return found + [
        Case(
            f"{name} in metadata",
            "personal data",
            {ST: header({"__metadata__": {"by": value}, **GOOD}, DATA)},
            ("safetensors.personal", "text.personal"),
        )
        for name, value in person.items()
    ]


def _numbers() -> list[Case]:
    bits = {
        "F32 NaN": ("F32", "<u4", 0x7FC00000),
        "F32 signalling NaN": ("F32", "<u4", 0x7F800001),
        "F32 infinite": ("F32", "<u4", 0x7F800000),
        "F32 minus infinite": ("F32", "<u4", 0xFF800000),
        "F32 negative NaN": ("F32", "<u4", 0xFFFFFFFF),
        "F64 NaN": ("F64", "<u8", 0x7FF8000000000000),
        "F64 minus infinite": ("F64", "<u8", 0xFFF0000000000000),
        "F16 NaN": ("F16", "<u2", 0x7E00),
        "F16 infinite": ("F16", "<u2", 0xFC00),
        "BF16 NaN": ("BF16", "<u2", 0x7FC0),
        "BF16 infinite": ("BF16", "<u2", 0x7F80),
        "F8_E5M2 infinite": ("F8_E5M2", "u1", 0x7C),
        "F8_E4M3 NaN": ("F8_E4M3", "u1", 0xFF),
        "C64 NaN": ("C64", "<u4", 0x7FC00000),
    }
    found = []
    for name, (dtype, kind, value) in bits.items():
        numbers = np.ones(4096, kind)
        numbers[3977] = value
        count = numbers.nbytes // WIDTH[dtype]
        raw = packed({"ok": ("F32", (1,), DATA), "w": (dtype, (count // 16, 16), numbers.tobytes())}, format="pt")
        found.append(Case(name, "no number", {ST: raw}, ("weights.not_finite",)))
    for dtype in ("F32", "BF16", "F16", "F64"):
        raw = packed({"w": (dtype, (64, 16), bytes(1024 * WIDTH[dtype]))})
        found.append(Case(f"{dtype} matrix of zeros", "all zero", {ST: raw}, ("weights.all_zero",)))
    vectors = packed({"a": ("F32", (64,), bytes(256)), "b": ("F16", (8,), bytes(16))})
    found.append(Case("nothing but vectors of zeros", "all zero", {ST: vectors}, ("weights.all_zero",)))
    minus = np.full((64, 16), 0x80000000, "<u4").tobytes()
    found.append(
        Case("matrix of minus zeros", "all zero", {ST: packed({"w": ("F32", (64, 16), minus)})}, ("weights.all_zero",))
    )
    shards = {"model-00001-of-00002.safetensors": packed({"a": ("F32", (1,), DATA)}), ST: header(GOOD, DATA)}
    nan = packed({"b": ("F32", (1,), b"\0\0\xc0\x7f")})
    index = json.dumps({"weight_map": {"a": next(iter(shards)), "b": "model-00002-of-00002.safetensors"}})
    files = {**shards, "model-00002-of-00002.safetensors": nan, INDEX: index}
    return [*found, Case("in the second shard", "no number", files, ("weights.not_finite",))]


def _llama(**changes: object) -> str:
    settings = {
        "vocab_size": 32,
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    return json.dumps(
        {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "dtype": "float32", **settings, **changes}
    )


def _ones(*shape: int, dtype: str = "F32") -> tuple[str, tuple[int, ...], bytes]:
    value = {"F32": b"\0\0\x80\x3f", "BF16": b"\x80\x3f", "F16": b"\0\x3c", "I8": b"\1"}[dtype]
    return dtype, shape, value * int(np.prod(shape))


def _weights(layers: int = 2, **more: tuple[str, tuple[int, ...], bytes]) -> bytes:
    found = {"model.embed_tokens.weight": _ones(32, 8), "model.norm.weight": _ones(8)}
    for layer in range(layers):
        found[f"model.layers.{layer}.mlp.down_proj.weight"] = _ones(8, 16)
    return packed({**found, **more}, format="pt")


def _configuration() -> list[Case]:
    embed = "model.embed_tokens.weight"
    wrong = {
        "another vocabulary": (_llama(vocab_size=33), _weights(), "shape"),
        "another width": (_llama(hidden_size=16), _weights(), "shape"),
        "another inner width": (_llama(intermediate_size=17), _weights(), "shape"),
        "layers too many": (_llama(), _weights(5), "layers"),
        "layers too few": (_llama(num_hidden_layers=4), _weights(), "layers"),
        "fewer bits than promised": (_llama(), _weights(**{embed: _ones(32, 8, dtype="F16")}), "dtype"),
        "whole numbers": (_llama(), _weights(**{embed: _ones(32, 8, dtype="I8")}), "dtype"),
        "vector for a matrix": (_llama(), _weights(**{embed: _ones(256)}), "shape"),
    }
    found = [
        Case(name, "weights against config", {"config.json": config, ST: raw}, (f"weights.{rule}",))
        for name, (config, raw, rule) in wrong.items()
    ]
    gpt2 = json.dumps({"model_type": "gpt2", "vocab_size": 40, "n_embd": 8, "n_layer": 1, "n_positions": 16})
    bert = json.dumps({"model_type": "bert", "vocab_size": 40, "hidden_size": 8, "num_hidden_layers": 1})
    t5 = json.dumps({"model_type": "t5", "vocab_size": 40, "d_model": 8, "num_layers": 1})
    for name, config, key in (
        ("gpt2", gpt2, "transformer.wte.weight"),
        ("bert", bert, "bert.embeddings.word_embeddings.weight"),
        ("t5", t5, "shared.weight"),
    ):
        files = {"config.json": config, ST: packed({key: _ones(41, 8)})}
        found.append(Case(f"another vocabulary, {name}", "weights against config", files, ("weights.shape",)))
    return found


def _indexes() -> list[Case]:
    def index(mapping: object) -> tuple[str, str]:
        return INDEX, json.dumps({"metadata": {}, "weight_map": mapping})

    found = many(
        "shard index",
        "index.",
        {
            "shard outside": index({"a": "../model.safetensors"}),
            "shard absolute": index({"a": "/etc/passwd.safetensors"}),
            "shard a pickle": index({"a": "model.bin"}),
            "shard missing": index({"a": "b.safetensors"}),
            "shard an address": index({"a": "https://evil.example/x.safetensors"}),
            "backslash": index({"a": "..\\x.safetensors"}),
            "no map": (INDEX, "{}"),
            "empty map": index({}),
            "map a list": index([]),
            "shard a number": index({"a": 1}),
            "tensor that is not there": index({"model.norm": ST, "a": ST}),
            "tensor that is not named": index({"b": ST}),
            "shard null": index({"a": None}),
        },
    )
    files = {"extra.safetensors": header(GOOD, DATA), INDEX: json.dumps({"weight_map": {"model.norm": ST}})}
    return [*found, Case("shard unused", "shard index", files, ("index.shard",))]


def cases() -> list[Case]:
    return [*_header(), *_names(), *_numbers(), *_configuration(), *_indexes()]
