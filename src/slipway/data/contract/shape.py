"""The shards of the raw data and the columns that each has, from their footers alone."""

from pathlib import Path

from slipway.errors import UserError
from slipway.shards import shards


def shard_columns(directory: Path) -> dict[Path, str]:
    """Shard -> its columns in words, `id string, text string, …`.

    Raises:
        UserError: if there is no shard, or one whose footer cannot be read, naming it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = {}
    for path in shards(directory, "documents"):
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"data/raw/{path.name} is no complete parquet file ({' '.join(str(error).split())[:200]}); "
                "run acquire again"
            ) from None
        found[path] = ", ".join(f"{column.name} {column.type}" for column in schema)
    if not found:
        raise UserError("data/raw has no shard documents-00000.parquet; run acquire again")
    return found
