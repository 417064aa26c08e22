"""The file scan: a fail-closed allowlist over exactly the bytes that would be published.

`verdict.scan` is the door. It loads no model, runs no code it finds and imports neither torch nor
transformers. A file passes because it is known to be harmless, never because nothing was recognised.
"""
