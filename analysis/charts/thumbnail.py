"""The pattern of a result's numbers, without the numbers, as small as a stamp."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from jaxtyping import Float, Int8
from PIL import Image, ImageColor

from analysis.charts.themes import PALETTES, Theme

#: Rows and columns of a picture, at most.
SIDE = 64
#: In place of a value, where there is none. Values go from -100 to 100.
NO_VALUE = -128
#: Pixels of the longer side, about.
_PIXELS = 112

Picture = Int8[np.ndarray, "row column"]


def picture_of(values: Float[np.ndarray, "row column"]) -> Picture:
    """`values` in percent of the largest in size, NaN as `NO_VALUE`; of more than `SIDE` rows or columns
    each cell is the value that is largest in size among those that it stands for.

    >>> picture_of(np.array([[2.0, -4.0, np.nan]])).tolist()
    [[50, -100, -128]]
    """
    for axis in (0, 1):
        parts = np.array_split(values, min(SIDE, values.shape[axis]), axis=axis)
        values = np.concatenate([_largest(part, axis) for part in parts], axis=axis)
    size = np.abs(values)
    end = float(size[np.isfinite(size)].max(initial=0.0)) or 1.0
    return np.where(np.isfinite(values), np.round(100 * values / end), NO_VALUE).astype(np.int8)


def thumbnail_png(picture: Picture, theme: Theme = "light") -> bytes:
    """A cell for each value, blue below zero and orange above, as in the large maps; grey is no value."""
    palette = PALETTES[theme]
    negative, neutral, positive, masked = (
        np.array(ImageColor.getrgb(colour), dtype=float)
        for colour in (palette.negative, palette.neutral, palette.positive, palette.masked)
    )
    share = picture.astype(float)[..., None] / 100
    colours = neutral + np.abs(share) * (np.where(share < 0, negative, positive) - neutral)
    colours = np.where(picture[..., None] == NO_VALUE, masked, colours)
    image = Image.fromarray(colours.round().astype(np.uint8))
    # Whole pixels to a cell.
    times = max(1, _PIXELS // max(picture.shape))
    file = BytesIO()
    image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST).save(file, "png")
    return file.getvalue()


def _largest(values: Float[np.ndarray, "row column"], axis: int) -> Float[np.ndarray, "row column"]:
    size = np.where(np.isfinite(values), np.abs(values), -1.0)
    return np.take_along_axis(values, size.argmax(axis=axis, keepdims=True), axis=axis)
