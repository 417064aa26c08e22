"""A local store that remembers what was read of it."""

from slipway.adapters.store import LocalStore


class Counting(LocalStore):
    """Remembers which objects were opened, hence hashed."""

    def __init__(self, root) -> None:
        super().__init__(root)
        self.opened: list[str] = []

    def open(self, key):
        self.opened.append(key)
        return super().open(key)
