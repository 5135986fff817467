"""Session keys, which are the URL's parameters too. Tests use the same names."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal


class Key(StrEnum):
    """A widget's key; those bound to the URL appear there under this name."""

    MODEL = "model"
    EXAMPLE = "example"
    CLEAN = "clean"
    CORRUPTED = "corrupted"
    ANSWER = "answer"
    FOIL = "foil"
    SWAP = "swap"
    UNIT = "unit"
    RUN = "run"
    POSITION = "position"
    COMPONENT = "component"
    LAYER_NORM = "layer_norm"
    METRIC = "metric"
    SCALE = "scale"
    SOURCE_LAYER = "source_layer"
    SOURCE_HEAD = "source_head"
    START_SWEEP = "start_sweep"
    CANCEL_SWEEP = "cancel_sweep"
    EDGE_CHART = "edge_chart"
    EDGE_TABLE = "edge_table"
    PATH_CHART = "path_chart"
    PROVENANCE = "provenance"


#: Widgets with this `bind` keep their value in the URL and across pages.
URL: Literal["query-params"] = "query-params"
