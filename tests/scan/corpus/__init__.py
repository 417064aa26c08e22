"""What clean and hostile bundles are made of: each kind of file that may be published."""

import hashlib
import json
import struct

PAGE = (
    '<!doctype html><html><head><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src '
    '\'sha256-x\'"><style>p{color:red}</style></head><body><p><a href="#s1">Loss</a> &lt;b&gt;</p></body></html>\n'
)
CARD = """---
license: apache-2.0
model-index:
- name: tiny
---
# Tiny

See <https://example.org>. It says `<b>` and

```python
print("<script>")
```
"""


def header(entries, data=b"", pad=0):
    """Bytes of a safetensors file with this header: a dict, or text as it is."""
    text = entries if isinstance(entries, str) else json.dumps(entries)
    raw = text.encode() + b" " * pad
    return struct.pack("<Q", len(raw)) + raw + data


def tensor(start=0, end=4, shape=(1,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


def clean_files():
    return {
        "config.json": json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 300}),
        "generation_config.json": "{}",
        "tokenizer.json": json.dumps({"added_tokens": [{"id": 0, "content": "<|endoftext|>"}], "normalizer": None}),
        "tokenizer_config.json": json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "auto_map": None}),
        "model.safetensors": header({"__metadata__": {"format": "pt"}, "model.norm": tensor()}, b"\0\0\x80\x3f", pad=3),
        "README.md": CARD,
        "LICENSE": "MIT License\n\n(c) can. Not a pickle: the text names things.\n",
        "report.html": PAGE,
        "records/train.json": '{"stage": "train"}',
    }


def seal(directory):
    """Write the manifest; returns the bundle digest."""
    files = {
        p.relative_to(directory).as_posix(): {
            "bytes": p.stat().st_size,
            "sha256": hashlib.sha256(p.read_bytes()).hexdigest(),
        }
        for p in sorted(directory.rglob("*"))
        if p.is_file()
    }
    text = json.dumps({"format": "slipway-manifest-1", "name": "tiny", "files": files})
    (directory / "manifest.json").write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()
