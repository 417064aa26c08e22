"""The exported GGUF in llama.cpp against the model in transformers: tokens and logits.

    pip install llama-cpp-python==0.3.36   # not among the project's dependencies; it is compiled
    PYTHONPATH=. python benchmarks/gguf_llama_cpp.py bundle >> benchmarks/results/gguf.jsonl

MODEL is a directory with a trained model (`bundle`). Texts are made to be odd: white space, scripts, emoji, marks,
contractions, control tokens; and each code point stands in five surroundings. Logits are those of text from this
project's own pages, with keys and values in float32. Random models of every architecture are held to transformers too.
"""

import argparse
import datetime as dt
import json
import os
import platform
import random
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
STRETCHES = (
    *(" ", "  ", "\n", "\r\n", "\t", "\n\n\n", "\u00a0", "\u2003", "\u200b", "\u3000", "\x00", "\x1c", "\u0085"),
    *("don't", "I'LL", "'s", "'S", "we've", "'\u017f", "x'", "123", "4567890", "½", "٣٤", "Ⅷ", "²", "1e-5", "3.14"),
    *("é", "e\u0301", "ß", "ǆ", "İ", "ﬁ", "שלום", "مرحبا", "हिन्दी", "ไทย", "中文字", "日本語", "한국어", "𝔘𝔫𝔦", "𐍈"),
    *("👩\u200d👧", "\U0001f3f3\ufe0f\u200d🌈", "🇩🇪", "☃", "\ufffd", "\ue000", "\ufeff", "\u202e", "()", "{}", "\\"),
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>user", "def f(x):", "return", "numpy.argsort", "====", "----------"),
    *("...", "!?", "`", "~", "_", "__x__", "a", "The", "THE", "Parameters", "array_like", "of the", " a : int"),
    *("x" * 40, "ab" * 30, " " * 70, "\n" * 40),
)  # fmt: skip


POINTS = 0x110000 - 0x800 - 1


def _llama(path: Path, **changes: Any) -> Any:
    import llama_cpp

    float32 = {"type_k": llama_cpp.GGML_TYPE_F32, "type_v": llama_cpp.GGML_TYPE_F32, "flash_attn": False}
    plain = {"verbose": False, "n_threads": 1, "n_threads_batch": 1}
    return llama_cpp.Llama(str(path), **(plain | float32 | changes))


def _copied(model: Path, target: Path, pattern: str | None, *, whole_words: bool) -> Path:
    """The model with another way of cutting text."""
    target.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        (target / name).write_bytes((model / name).read_bytes())
    tokenizer = json.loads((target / "tokenizer.json").read_text("utf-8"))
    if pattern is not None:
        split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        bare = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, bare]}
        tokenizer["model"]["ignore_merges"] = whole_words
        (target / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), "utf-8")
    return target


def tokens(model: Path, work: Path) -> dict[str, Any]:
    """Texts and code points that the two tokenise otherwise, by pattern."""
    from tokenizers import Tokenizer

    from slipway.gguf.vocabulary import PATTERNS
    from slipway.model.gguf import export

    rng = random.Random(3)  # noqa: S311
    texts = ["".join(rng.choices(STRETCHES, k=rng.randint(1, 30))) for _ in range(1000)]
    found = {}
    for pattern, cut in PATTERNS.items():
        directory = _copied(model, work / cut.name, pattern, whole_words=cut.whole_words)
        export(directory, directory / "x.gguf", "q8_0")
        theirs = _llama(directory / "x.gguf", vocab_only=True)
        ours = Tokenizer.from_file(str(directory / "tokenizer.json"))
        ours.encode_special_tokens = True

        def same(text: str, ours: Any = ours, theirs: Any = theirs) -> bool:
            ids = ours.encode(text, add_special_tokens=False).ids
            return bool(ids == theirs.tokenize(text.encode(), add_bos=False, special=False))

        odd = _points(same)
        unassigned = sum(unicodedata.category(chr(point)) == "Cn" for point in odd)
        found[cut.name] = {
            "texts": len(texts),
            "texts_that_differ": sum(not same(text) for text in texts),
            "code_points": POINTS,
            "code_points_that_differ": len(odd),
            f"of_those_not_in_unicode_{unicodedata.unidata_version}": unassigned,
        }
        theirs.close()
    return found


def _points(same: Any) -> list[int]:
    """Code points that are tokenised otherwise in one of five surroundings."""
    points = [point for point in range(1, 0x110000) if not 0xD800 <= point < 0xE000]
    text = {point: "a{0}b {0}1{0} {0}{0}.\n{0}'s".format(chr(point)) for point in points}
    found = []
    for start in range(0, len(points), 64):
        some = points[start : start + 64]
        if not same("".join(text[point] for point in some)):
            found += [point for point in some if not same(text[point])]
    return found


def _logits(path: Path, rows: list[list[int]], width: int) -> Any:
    import numpy as np

    model = _llama(path, n_ctx=width, n_batch=width, logits_all=True)
    found = []
    for row in rows:
        model.reset()
        model.eval(row)
        found.append(np.array(model.scores[: len(row)]))
    model.close()
    return np.stack(found).astype(np.float64)


def _compared(ours: Any, theirs: Any) -> dict[str, float]:
    """Largest and root mean square difference of logits, divergence in nats per token, share of equal best tokens."""
    import numpy as np

    def log_softmax(logits: Any) -> Any:
        shifted = logits - logits.max(-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))

    p, q = log_softmax(ours), log_softmax(theirs)
    return {
        "largest_difference": float(f"{np.abs(ours - theirs).max():.3g}"),
        "root_mean_square": float(f"{np.sqrt(((ours - theirs) ** 2).mean()):.3g}"),
        "kl_nats": float(f"{max(0.0, (np.exp(p) * (p - q)).sum(-1).mean()):.3g}"),
        "top_1_agreement": round(float((ours.argmax(-1) == theirs.argmax(-1)).mean()), 5),
    }


def logits(model: Path, work: Path, rows: list[list[int]]) -> dict[str, Any]:
    """By type, llama.cpp's logits against those of transformers in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    from slipway.model.gguf import export

    reference = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    with torch.no_grad():
        ours = torch.cat([reference(torch.tensor([row])).logits for row in rows]).double().numpy()
    found: dict[str, Any] = {"tokens": sum(map(len, rows)), "largest_logit": round(float(abs(ours).max()), 2)}
    for kind in ("f32", "f16", "bf16", "q8_0"):
        export(model, work / "x.gguf", kind)
        found[kind] = _compared(ours, _logits(work / "x.gguf", rows, len(rows[0])))
    return found


def _pages(model: Path, rows: int, width: int) -> list[list[int]]:
    from tokenizers import Tokenizer

    text = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
    ids = Tokenizer.from_file(str(model / "tokenizer.json")).encode(text, add_special_tokens=False).ids
    return [ids[start : start + width] for start in range(0, rows * width, width)]


def architectures(work: Path) -> dict[str, Any]:
    """Random models with grouped heads, some with heads of other width, and norms and biases that are not all equal."""
    from tests.tiny_gguf import directory

    wide = {"hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 8, "num_key_value_heads": 2}
    changes = {"llama": {"head_dim": 64}, "mistral": {"head_dim": 32}, "qwen2": {}, "qwen3": {"head_dim": 64}}
    rng = random.Random(5)  # noqa: S311
    rows = [[rng.randrange(3, 319) for _ in range(64)] for _ in range(8)]
    found = {}
    for kind, other in changes.items():
        model = directory(work / kind, kind, tied=kind == "qwen3", **wide, **other)
        found[kind] = logits(model, work, rows)
    return found


def main() -> None:
    """Write one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a directory with a trained model, such as `bundle`")
    model = parser.parse_args().model
    import llama_cpp

    line: dict[str, Any] = {
        "benchmark": "gguf_llama_cpp",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "command": "python benchmarks/gguf_llama_cpp.py bundle",
        "load_before": round(os.getloadavg()[0], 1),
        "llama_cpp_python": llama_cpp.__version__,
    }
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        line["tokens"] = tokens(model, work)
        line["trained"] = logits(model, work, _pages(model, 64, 128))
        line["random"] = architectures(work)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
