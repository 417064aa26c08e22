"""Keys, what they sign and what they are trusted for: envelopes, the model signature, the key log, certificates."""
