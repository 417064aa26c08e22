"""The release directory: weights, tokenizer, documents that are projections of records, and a manifest of digests.

`assemble.assemble` builds it; `manifest` reads and checks it. Nothing here signs, publishes or decides.
"""
