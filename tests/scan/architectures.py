"""Small models of as many architectures as the library can make on a processor, for counting false refusals."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 20
"""For one architecture; some compile or download something."""
LARGEST = 30_000_000
"""Parameters; what cannot be made smaller is left out."""
SETTINGS = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embed_dim", "emb_dim", "image_size", "lru_width"), 32),
    **dict.fromkeys(("intermediate_size", "d_ff", "hidden_dim", "ffn_dim", "n_inner", "moe_intermediate_size"), 48),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), 48),
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "num_heads", "n_head", "n_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), 64),
    **dict.fromkeys(("head_dim", "d_kv", "patch_size", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"), 8),
    **dict.fromkeys(("mamba_n_heads", "mamba_d_head", "mamba_d_state", "num_mel_bins"), 8),
    **dict.fromkeys(("embedding_size", "q_lora_rank", "kv_lora_rank", "projection_dim"), 16),
    **dict.fromkeys(("n_group", "topk_group", "first_k_dense_replace", "n_groups"), 1),
    **dict.fromkeys(("max_source_positions", "max_target_positions", "word_embed_proj_dim"), 32),
    **dict.fromkeys(("state_size", "rotary_dim", "window_size"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_experts_per_tok", "global_attn_every_n_layers", "eos_token_id"), 2),
    "vocab_size": 300, "decoder_layers": 3, "pad_token_id": 0, "bos_token_id": 1, "depths": [1, 1],
    "hidden_sizes": [8, 16],
}  # fmt: skip


@contextmanager
def _patience() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _small(config: Any) -> dict[str, Any]:
    known = config.to_dict()
    return {key: value for key, value in SETTINGS.items() if key in known}


def configuration(kind: str) -> Any:
    """The library's configuration of a type, and of its parts, with small numbers."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    made = CONFIG_MAPPING[kind]
    full = made()
    settings = _small(full)
    for part in getattr(full, "sub_configs", None) or {}:
        inner = getattr(full, part, None)
        if inner is not None and hasattr(inner, "to_dict"):
            settings[part] = ({"model_type": inner.model_type} if inner.model_type else {}) | _small(inner)
    return made(**settings)


def write(kind: str, directory: Path) -> bool:
    """Save a model of a type with random weights; False if the library cannot make a small one so simply."""
    import torch
    from transformers import AutoModel

    try:
        with _patience():
            config = configuration(kind)
            with torch.device("meta"):
                if sum(one.numel() for one in AutoModel.from_config(config).parameters()) > LARGEST:
                    return False
            torch.manual_seed(7)
            AutoModel.from_config(config).save_pretrained(directory)
    except Exception:  # noqa: BLE001  the library's own limits: which types can be made is what is asked
        return False
    return (directory / "model.safetensors").is_file()


def kinds() -> list[str]:
    """All types that the library knows."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return sorted(CONFIG_MAPPING.keys())


def refused(folder: Path) -> dict[str, Any]:
    """How many types can be made, and what the scan says against which."""
    from slipway.scan.verdict import scan

    made = [kind for kind in kinds() if write(kind, folder / kind)]
    reports = {kind: scan(folder / kind, 1 << 40) for kind in made}
    wrong = {kind: sorted({one.rule for one in report.findings}) for kind, report in reports.items()}
    return {"made": len(made), "refused": {kind: rules for kind, rules in wrong.items() if rules}}
