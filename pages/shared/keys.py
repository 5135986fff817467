"""Session keys; those of the view are the address's parameters too. Tests use the same names."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal


class Key(StrEnum):
    """What is kept in the session; what makes up the view appears in the address under the same name."""

    MODEL = "model"
    EXAMPLE = "example"
    CLEAN = "clean"
    CORRUPTED = "corrupted"
    ANSWER = "answer"
    FOIL = "foil"
    ASK = "ask"
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
    EDGES = "edges"
    PINS = "pins"
    GROUPS = "groups"
    SELECTED = "selected"
    LAYOUT = "layout"
    FAITHFULNESS = "faithfulness"
    ACCOUNTED = "accounted"
    GRAPH = "graph"
    DRAWN = "drawn"
    CIRCUIT_TABLE = "circuit_table"
    SET = "set"
    SET_KIND = "set_kind"
    SET_SIZE = "set_size"
    SET_TEXT = "set_text"
    SET_READ = "set_read"
    SET_FILE = "set_file"
    SET_TAKE = "set_take"
    SET_TEMPLATE = "set_template"
    SET_DRAWN = "set_drawn"
    SET_DRAW = "set_draw"
    SET_PAIRS = "set_pairs"
    SET_OPEN = "set_open"
    START = "start"
    CANCEL = "cancel"
    EDGE_CHART = "edge_chart"
    EDGE_TABLE = "edge_table"
    EDGE_ROWS = "edge_rows"
    PATH_CHART = "path_chart"
    HEAD_PATHS = "head_paths"
    NODE_MAP = "node_map"
    OTHER_END = "other_end"
    LEAD = "lead"
    WITHOUT_LEAD = "without_lead"
    PROVENANCE = "provenance"
    PAGE = "page"
    NOTES = "notes"


PROMPT_KEYS = (Key.CLEAN, Key.CORRUPTED, Key.ANSWER, Key.FOIL)
SOURCE_KEYS = (Key.SOURCE_LAYER, Key.SOURCE_HEAD)
#: Values of `Key.POSITION` beside the numbers.
LAST, EVERY = "last", "all"
#: Widgets with this `persist_state` keep their value from page to page.
KEPT: Literal["session"] = "session"
