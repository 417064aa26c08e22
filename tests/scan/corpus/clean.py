# ruff: noqa: E501  templates and rows of a table are one line
"""Clean bundles made by the libraries that make real ones: small models of many architectures, saved as people do.

What varies: dtype, one file or shards, the kind of tokenizer, where the chat template stands, adapters, cards, licences.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.scan.published import PUBLISHED

TEXT = [
    "the quick brown fox jumps over the lazy dog", "a model is released with its data card", "numbers 12 and 345 are here",
    "Fünf Äpfel kosten 3,50 €", "def add(first, second): return first + second", "what is it good for? nothing, I say!",
]  # fmt: skip
SMALL = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
ENCODER = {key: value for key, value in SMALL.items() if key != "num_key_value_heads"}
D_MODEL = {
    "d_model": 32, "d_ff": 48, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "d_kv": 8,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "num_layers": 2, "num_heads": 4,
    "pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 1, "max_position_embeddings": 64,
}  # fmt: skip
VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 16, "patch_size": 8}  # fmt: skip
MOE = {"num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
CHATML = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)  # fmt: skip
HEADERS = (
    "{{- bos_token }}{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content'] | trim %}"
    "{%- set rest = messages[1:] %}{%- else %}{%- set system_message = '' %}{%- set rest = messages %}{%- endif %}"
    "{%- if system_message %}{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' + system_message + '<|eot_id|>' }}{%- endif %}"
    "{%- for message in rest %}{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"
)  # fmt: skip
INSTRUCT = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] + eos_token }}{% elif message['role'] == 'system' %}"
    "{{ '<<SYS>>\\n' + message['content'] + '\\n<</SYS>>\\n\\n' }}{% else %}{{ raise_exception('Only user, assistant and system roles are supported!') }}"
    "{% endif %}{% endfor %}"
)  # fmt: skip
TURNS = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}"
    "{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)  # fmt: skip
TOOLS = (
    "{%- if tools %}{{- '<|im_start|>system\\n' }}{%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}"
    "{{- '# Tools\\n\\nYou may call one or more functions to assist with the user query.\\n\\n<tools>' }}"
    "{%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}"
    "{{- '\\n</tools>\\n\\nFor each function call, return a json object within <tool_call></tool_call> tags.<|im_end|>\\n' }}"
    "{%- elif messages[0].role == 'system' %}{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}"
    "{%- else %}{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{%- endif %}"
    "{%- for message in messages %}{%- if message.role == 'user' or (message.role == 'system' and not loop.first) or "
    "(message.role == 'assistant' and not message.tool_calls) %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
    "{%- elif message.role == 'assistant' %}{{- '<|im_start|>' + message.role }}{%- if message.content %}{{- '\\n' + message.content }}{%- endif %}"
    "{%- for tool_call in message.tool_calls %}{%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}"
    "{{- '\\n<tool_call>\\n{\"name\": \"' }}{{- tool_call.name }}{{- '\", \"arguments\": ' }}{{- tool_call.arguments | tojson }}{{- '}\\n</tool_call>' }}"
    "{%- endfor %}{{- '<|im_end|>\\n' }}{%- elif message.role == 'tool' %}{%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != 'tool') %}"
    "{{- '<|im_start|>user' }}{%- endif %}{{- '\\n<tool_response>\\n' }}{{- message.content }}{{- '\\n</tool_response>' }}"
    "{%- if loop.last or (messages[loop.index0 + 1].role != 'tool') %}{{- '<|im_end|>\\n' }}{%- endif %}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)  # fmt: skip
TEMPLATES = {"chatml": CHATML, "headers": HEADERS, "instruct": INSTRUCT, "turns": TURNS, "tools": TOOLS}
DTYPES = ("float32", "bfloat16", "float16")


def tokenizer(kind: str) -> Any:
    """A trained tokenizer: `bytes` (byte-level BPE), `words` (WordPiece) or `pieces` (unigram, metaspace)."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>"]
    if kind == "bytes":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer: Any = trainers.BpeTrainer(
            vocab_size=300, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        )
    elif kind == "words":
        special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=special)
    else:
        made = Tokenizer(models.Unigram())
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        made.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token="<unk>")
    made.train_from_iterator(TEXT * 20, trainer)
    if kind == "words":
        made.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
        names = {
            "unk_token": "[UNK]",
            "pad_token": "[PAD]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
        }
    else:
        names = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=64, **names)


def sentencepiece(path: Path) -> None:
    """tokenizer.model, through the message of the sentencepiece project."""
    from transformers.utils import sentencepiece_model_pb2_new as schema

    model = schema.ModelProto()
    for number, piece in enumerate(["<unk>", "<s>", "</s>", "<0x0A>", "▁the", "▁a", "e", "n", "▁"]):
        entry = model.pieces.add()
        entry.piece, entry.score = piece, -float(number)
        entry.type = {0: 2, 1: 3, 2: 3, 3: 6}.get(number, 1)
    model.trainer_spec.model_type, model.trainer_spec.vocab_size = 2, 9
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = True
    path.write_bytes(model.SerializeToString())


def card(directory: Path, name: str, kind: str) -> None:
    """README.md by huggingface_hub, with metadata, results, a table, code and a quotation."""
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    result = EvalResult("text-generation", "held-out", "held-out text", "bits per byte", 1.23)
    data = ModelCardData(
        language="en", license="apache-2.0", library_name="transformers", tags=[kind, "test"], model_name=name,
        eval_results=[result], base_model="org/base", datasets=["org/words"],
    )  # fmt: skip
    body = (
        f"# {name}\n\nA small **{kind}** model; see [the paper](https://arxiv.org/abs/1706.03762 'title') and <https://example.org>.\n\n"
        "> It may be wrong. Use it with care & sense: 3 < 4, a<b.\n\n| split | loss |\n|:--|--:|\n| held out | 1.23 |\n\n"
        "```python\nfrom transformers import pipeline\npipe = pipeline('text-generation', '.')\nprint('<script>')\n```\n\n"
        "1. first\n2. second `<b>`\n\n- [x] done\n\n$$ x^2 $$\n\nFootnote[^1].\n\n[^1]: It is one.\n\n## Citation\n\n```bibtex\n@misc{x, title={X}}\n```\n"
    )  # fmt: skip
    ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}").save(directory / "README.md")


LICENCE = (
    "MIT License\n\nCopyright (c) 2026 Jane Doe <jane.doe@example.org>\n\nPermission is hereby granted, free of charge, to any person "
    "obtaining a copy (the \"Software\").\n"
)  # fmt: skip
# model_type, task class, kind of tokenizer, settings
MODELS: tuple[tuple[str, str, str | None, dict[str, Any]], ...] = (
    *((kind, "CausalLM", "bytes", SMALL) for kind in ("qwen2", "qwen3", "phi3", "stablelm", "olmo", "olmo2", "starcoder2", "granite", "smollm3", "cohere")),
    *((kind, "CausalLM", "pieces", SMALL) for kind in ("llama", "mistral", "gemma", "gemma2", "gemma3_text", "phi", "helium", "nemotron")),
    *((kind, "CausalLM", "bytes", SMALL | MOE) for kind in ("mixtral", "qwen2_moe", "qwen3_moe", "olmoe")),
    *((kind, "CausalLM", "bytes", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "rotary_dim": 4, "bos_token_id": 1, "eos_token_id": 2}) for kind in ("gpt2", "gptj")),
    *((kind, "CausalLM", "bytes", ENCODER) for kind in ("gpt_neox", "falcon", "bloom")),
    ("opt", "CausalLM", "bytes", ENCODER | {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    *((kind, "CausalLM", "bytes", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4, "num_heads": 8, "head_dim": 8, "n_groups": 1}) for kind in ("mamba", "mamba2")),
    *((kind, "MaskedLM", "words", ENCODER) for kind in ("bert", "roberta", "electra", "deberta-v2", "xlm-roberta", "mpnet")),
    ("albert", "MaskedLM", "pieces", ENCODER | {"embedding_size": 16}),
    ("distilbert", "MaskedLM", "words", {"dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64}),
    ("bert", "SequenceClassification", "words", ENCODER),
    *((kind, "Seq2SeqLM", "pieces", D_MODEL) for kind in ("t5", "mt5", "bart", "mbart", "pegasus", "marian")),
    ("whisper", "SpeechSeq2Seq", "bytes", D_MODEL | {"num_mel_bins": 8, "max_source_positions": 32, "max_target_positions": 32}),
    ("wav2vec2", "CTC", "words", ENCODER | {"conv_dim": [8, 8], "conv_stride": [2, 2], "conv_kernel": [2, 2], "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 2}),
    *((kind, "ImageClassification", None, VISION) for kind in ("vit", "deit", "dinov2")),
    ("swin", "ImageClassification", None, {"image_size": 32, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4], "window_size": 4}),
    ("convnext", "ImageClassification", None, {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}),
    ("resnet", "ImageClassification", None, {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}),
    *((kind, "", "bytes", {"text_config": ENCODER | {"vocab_size": 300}, "vision_config": VISION, "projection_dim": 16}) for kind in ("clip", "siglip")),
)  # fmt: skip


def _model(kind: str, task: str, settings: dict[str, Any], dtype: str) -> Any:
    import torch
    import transformers

    torch.manual_seed(7)
    configuration = transformers.AutoConfig.for_model(kind, **settings)
    configuration.architectures = configuration.architectures or []
    loader = getattr(transformers, f"AutoModelFor{task}" if task else "AutoModel")
    return loader.from_config(configuration).to(getattr(torch, dtype))


def _write(directory: Path, number: int, model: tuple[str, str, dict[str, Any]], words: Any) -> None:
    """One bundle; what the number decides varies from one to the next."""
    kind, task, settings = model
    if words is not None and "text_config" not in settings:
        settings = {**settings, "vocab_size": len(words)}
    made = _model(kind, task, settings, DTYPES[number % 3])
    made.save_pretrained(directory, max_shard_size="20KB" if number % 4 == 1 else "5GB")
    if words is not None:
        chat = list(TEMPLATES)[number % 5] if task == "CausalLM" else None
        words.chat_template = TEMPLATES[chat] if chat else None
        words.save_pretrained(directory)
        if chat and number % 2:  # as older versions of the library wrote it
            (directory / "chat_template.jinja").unlink()
            path = directory / "tokenizer_config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": words.chat_template}, indent=2))
    card(directory, f"tiny-{kind}", kind)
    (directory / "LICENSE").write_text(LICENCE)
    if number % 5 == 0:
        (directory / "NOTICE").write_text("This product includes software developed by others.\n")


def _adapter(directory: Path, kind: str, settings: dict[str, Any], **options: Any) -> None:
    """An adapter by peft, beside nothing."""
    import peft

    base = _model(kind, "CausalLM", settings, "float32")
    made = peft.get_peft_model(base, peft.LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM", **options))
    made.save_pretrained(directory)
    path = directory / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": "org/base"}, indent=2))
    card(directory, f"adapter-{kind}", kind)


def _changed(source: Path, directory: Path, change: Callable[[Path], object]) -> Path:
    shutil.copytree(source, directory)
    change(directory)
    return directory


def _processors(directory: Path) -> None:
    from transformers import ViTImageProcessor

    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(directory)


def _older(directory: Path) -> None:
    """Files that older versions of the library write beside tokenizer.json."""
    state = json.loads((directory / "tokenizer.json").read_text())["model"]
    (directory / "vocab.json").write_text(json.dumps(state["vocab"], ensure_ascii=False))
    pairs = [pair if isinstance(pair, str) else " ".join(pair) for pair in state["merges"]]
    (directory / "merges.txt").write_text("#version: 0.2\n" + "\n".join(pairs) + "\n", "utf-8")
    (directory / "added_tokens.json").write_text(json.dumps({"<|im_start|>": 4, "<|im_end|>": 5}))
    special = {
        "bos_token": {"content": "<s>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False},
        "eos_token": "</s>",
    }
    (directory / "special_tokens_map.json").write_text(json.dumps(special, indent=2))
    (directory / "generation_config.json").write_text(
        json.dumps({"temperature": 0.6, "top_p": 0.9, "eos_token_id": [2, 5], "transformers_version": "4.40.0"})
    )


def bundles(root: Path) -> dict[str, Path]:
    """Write them all below `root`: name -> directory."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    kinds = {kind: tokenizer(kind) for kind in ("bytes", "words", "pieces")}
    found = {}
    for number, (kind, task, words, settings) in enumerate(MODELS):
        name = f"{number:02}-{kind}"
        found[name] = root / name
        _write(root / name, number, (kind, task, settings), kinds[words] if words else None)
    size = {"vocab_size": 300}
    found["adapter-llama"], found["adapter-gpt2"] = root / "adapter-llama", root / "adapter-gpt2"
    _adapter(found["adapter-llama"], "llama", SMALL | size, target_modules=["q_proj", "v_proj"], use_dora=True)
    _adapter(found["adapter-gpt2"], "gpt2", {"n_embd": 32, "n_layer": 1, "n_head": 4}, target_modules=["c_attn"])
    llama, qwen, vit = (
        next(found[name] for name in found if name.endswith(f"-{kind}")) for kind in ("llama", "qwen2", "vit")
    )
    found["sentencepiece"] = _changed(llama, root / "sentencepiece", lambda d: sentencepiece(d / "tokenizer.model"))
    found["older-files"] = _changed(qwen, root / "older-files", _older)
    for name, source in PUBLISHED.items():
        found[f"template-{name}"] = root / f"template-{name}"
        found[f"template-{name}"].mkdir()
        (found[f"template-{name}"] / "chat_template.jinja").write_text(source, "utf-8")
    found["processor"] = _changed(vit, root / "processor", _processors)
    return found
