"""How high a grid will be, told before it is drawn: else what stands below it moves when it comes."""

from __future__ import annotations

#: Pixels of a row and of the frame at the base font size of `.streamlit/config.toml`, and the most that
#: Streamlit gives a grid.
_ROW, _FRAME, _MOST = 33, 2, 400


def grid_height(n_rows: int) -> int:
    """Height in pixels of a grid with a heading and `n_rows` rows, as Streamlit draws it.

    >>> grid_height(3), grid_height(100)
    (134, 400)
    """
    return min(_MOST, _ROW * (n_rows + 1) + _FRAME)
