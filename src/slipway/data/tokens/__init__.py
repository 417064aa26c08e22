"""From text to token files: a byte-level BPE trained on the training split, and packed memory maps."""

from slipway.data.tokens.pack import tokenize

__all__ = ["tokenize"]
