"""Tables as JSON and Parquet, which hold every number as it is, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.errors import PathscopeError

if TYPE_CHECKING:
    import pandas as pd

#: Under which name a file of tensors or of Parquet tells where its numbers come from.
ORIGIN = "pathscope"


def table_json(table: pd.DataFrame, origin: Mapping[str, str]) -> str:
    """`table` as ``{"origin": ..., "columns": [...], "rows": [{column: value}]}``.

    Numbers stand in as many digits as tell them apart; what is not defined is null.
    """
    held = {"origin": dict(origin), "columns": [*table.columns], "rows": _rows(table)}
    return json.dumps(held, indent=1, allow_nan=False) + "\n"


def table_parquet(table: pd.DataFrame, origin: Mapping[str, str]) -> bytes:
    """`table` as Apache Parquet; `origin` stands as JSON under `ORIGIN` in the metadata of its schema."""
    import pyarrow as pa
    from pyarrow import parquet

    written, file = pa.Table.from_pandas(table, preserve_index=False), BytesIO()
    told = {**(written.schema.metadata or {}), ORIGIN: json.dumps(dict(origin))}
    parquet.write_table(written.replace_schema_metadata(told), file)
    return file.getvalue()


class TableFile:
    """A Parquet file that grows by one table after the other, all with the same columns.

    It stands at `path` once the ``with`` has ended without an error, and replaces what stood there. Its
    metadata hold a JSON list under `ORIGIN`: where the numbers of each table come from. Without any table
    there is no file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._part = path, path.with_name(f"{path.name}.part")
        self._origins: list[Mapping[str, str]] = []
        self._writer: Any = None

    def __enter__(self) -> TableFile:
        return self

    def add(self, table: pd.DataFrame, origin: Mapping[str, str]) -> None:
        """Append `table`. Raises `PathscopeError` where nothing can be written there."""
        import pyarrow as pa
        from pyarrow import parquet

        written = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata()
        try:
            if self._writer is None:
                self._writer = parquet.ParquetWriter(self._part, written.schema)
            self._writer.write_table(written)
        except OSError as error:
            raise PathscopeError(
                f"The file {str(self._path)!r} cannot be written: {error.strerror}. Name another place."
            ) from error
        self._origins.append(dict(origin))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer is None:
            return
        self._writer.add_key_value_metadata({ORIGIN: json.dumps(self._origins)})
        self._writer.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink()


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    missing = table.isna()
    plain = table.astype(object).where(~missing, None)
    return [
        {column: getattr(value, "item", lambda value=value: value)() for column, value in row.items()}
        for row in plain.to_dict("records")
    ]
