"""What every record is made of."""

import json

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Base of all records: frozen and closed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, two spaces, final newline; equal records give equal bytes."""
        return (
            json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
            + "\n"
        )


class Measure(Record):
    """A number with what makes it believable."""

    value: float
    low: float | None
    """Lower end of the 95 % interval; None where the method gives none."""
    high: float | None
    n: int
    """Independent items behind the number."""
    method: str
    """How the interval was computed, e.g. `Wilson` or `bootstrap over documents`."""
