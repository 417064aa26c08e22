"""What a reader does: verifies where a release lies, fetches it, and remembers what was seen."""
