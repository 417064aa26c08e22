"""GGUF, the one-file format of llama.cpp: what such a file must hold, derived from the model that lies beside it.

All that stands before the numbers follows from config.json, tokenizer.json, tokenizer_config.json and the chat
template. `slipway.model.gguf` writes it; `slipway.scan.gguf` derives it once more and compares, byte for byte. What
llama.cpp would compute or tokenise otherwise than transformers is not described at all: `plan.describe` refuses.
"""
