"""One hostile case: files laid over a clean bundle, and the rule that must speak."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.scan.corpus import clean_files

FORMAT = ("format.", "content.")
"""Rules for a format that may not be published."""


@dataclass(frozen=True)
class Case:
    """A bundle that must be refused."""

    id: str
    category: str
    files: Mapping[str, bytes | str] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    """Beginnings of rule ids: a finding of one of these must be among them; empty if any will do."""
    change: Callable[[Path], None] | None = None
    """What else is done to the directory."""
    alone: bool = False
    """Nothing clean lies beside it."""

    def write(self, directory: Path) -> Path:
        """Make the bundle; returns what is to be scanned."""
        files = {} if self.alone else clean_files()
        for name, content in {**files, **self.files}.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        if self.change:
            self.change(directory)
        return directory


def many(category: str, rules: str | tuple[str, ...], named: Mapping[str, tuple[str, bytes | str]]) -> list[Case]:
    """Cases of one category: id -> (file, content)."""
    expected = (rules,) if isinstance(rules, str) else rules
    return [Case(name, category, {file: content}, expected) for name, (file, content) in named.items()]
