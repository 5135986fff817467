"""Which identities hold over the prompts of a set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.results import SanityResult

if TYPE_CHECKING:
    import pandas as pd


def checks_over_prompts(results: Sequence[SanityResult], numbers: Sequence[int]) -> pd.DataFrame:
    """One row per check, in the order of their first naming; `numbers` name the prompts.

    Columns: check, what must hold, holds and prompts (counts of prompts: in how many it holds, of how many
    it was measured in), fails_in (the numbers of the others, or "none"), and of the prompt that comes nearest
    to the limit, or exceeds it by most: nearest (its number), measured, limit.
    """
    import pandas as pd

    rows: dict[str, list[tuple[int, str, float, float]]] = {}
    for number, result in zip(numbers, results, strict=True):
        for name, statement, measured, limit in result.checks:
            rows.setdefault(name, []).append((number, statement, measured, limit))
    return pd.DataFrame([_row(name, found) for name, found in rows.items()])


def _row(name: str, found: list[tuple[int, str, float, float]]) -> dict[str, object]:
    fails = [number for number, _, measured, limit in found if not measured <= limit]
    nearest, statement, measured, limit = max(found, key=lambda row: _of_limit(*row[2:]))
    return {
        "check": name,
        "what must hold": statement,
        "holds": len(found) - len(fails),
        "prompts": len(found),
        "fails_in": ", ".join(map(str, fails)) or "none",
        "nearest": nearest,
        "measured": measured,
        "limit": limit,
    }


def _of_limit(measured: float, limit: float) -> float:
    """How far the limit is used up; a measurement that is no number exceeds any."""
    if measured != measured:
        return float("inf")
    return measured / limit if limit else (float("inf") if measured > 0 else 0.0)
