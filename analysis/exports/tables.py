"""Tables as JSON and Parquet, which hold every number as it is, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

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


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    missing = table.isna()
    plain = table.astype(object).where(~missing, None)
    return [
        {column: getattr(value, "item", lambda value=value: value)() for column, value in row.items()}
        for row in plain.to_dict("records")
    ]
