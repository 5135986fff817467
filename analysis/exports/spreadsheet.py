"""Tables as CSV that programs read plainly, and in which a spreadsheet finds nothing to run."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

#: A spreadsheet takes a cell that begins so for a formula; the last four are wide forms of "=+-@".
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def inert_csv(table: pd.DataFrame) -> str:
    """`table` as CSV in which a spreadsheet takes no text for a formula; numbers stay numbers.

    An apostrophe comes before a text, or a heading, that begins like one (OWASP's advice on "CSV
    injection"), and every text stands in quotes, so that none of it begins a cell of its own.
    """
    texts: str = table.map(_inert).rename(columns=_inert).to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC)
    return texts


def _inert(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
