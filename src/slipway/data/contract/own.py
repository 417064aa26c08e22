"""A team's own expectations: one small YAML file each in `expectations/`.

    name: sentences end
    description: A text that breaks off was cut somewhere on its way here.
    rows: ends_with(trim(text), '.')      # SQL, true for a good row
    at_most_share: 0.1                    # of the rows may break it

or, about all rows together, one number with one or two bounds:

    name: enough sources
    figure: count(DISTINCT source)
    at_least: 3

The SQL is DuckDB's and is evaluated where nothing but the raw shards can be read: see `measure`.
"""

from pathlib import Path

from pydantic import Field, ValidationError

from slipway.errors import UserError
from slipway.settings.base import Settings, Share

_HELP = "expectations/README.md shows both forms"


class Own(Settings):
    """One file, checked."""

    path: str
    """Relative to the project."""
    name: str = Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]+$")
    description: str = ""
    rows: str | None = None
    """SQL over the columns of a document and `characters`, true for a good row."""
    at_most_share: Share = 0
    """Share of the rows that may break it."""
    figure: str | None = None
    """SQL aggregate over all rows, one number."""
    at_least: float | None = None
    at_most: float | None = None
    remedy: str | None = None


def own(directory: Path) -> tuple[Own, ...]:
    """The files of the directory, by name; none if there is no directory.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    if not directory.is_dir():
        return ()
    odd = [
        p.name for p in sorted(directory.iterdir()) if p.suffix not in (".yaml", ".md") and not p.name.startswith(".")
    ]
    if odd:
        raise UserError(f"{directory.name}/{odd[0]}: an expectation is a file *.yaml; {_HELP}")
    return tuple(_read(path) for path in sorted(directory.glob("*.yaml")))


def _read(path: Path) -> Own:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    where = f"{path.parent.name}/{path.name}"
    try:
        values = YAML(typ="safe").load(path.read_text("utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{where} is not readable as YAML: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{where}: name, rows or figure expected, found {type(values).__name__}; {_HELP}")
    try:
        found = Own.model_validate({**values, "path": where})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors())
        raise UserError(f"{where} is no expectation: {faults}; {_HELP}") from None
    if (found.rows is None) == (found.figure is None):
        raise UserError(f"{where}: give either `rows` or `figure`; {_HELP}")
    if found.rows is not None and (found.at_least, found.at_most) != (None, None):
        raise UserError(f"{where}: `at_least` and `at_most` are for `figure`; `rows` has `at_most_share`; {_HELP}")
    if found.figure is not None and found.at_least is None and found.at_most is None:
        raise UserError(f"{where}: `figure` needs `at_least`, `at_most` or both; {_HELP}")
    return found
