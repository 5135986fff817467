"""Sets of prompt pairs: read from a table, drawn from words, and what agrees over their results; no torch."""

from analysis.sets.agreement import (
    CONFIDENCE,
    LEAST_PROMPTS,
    RESAMPLES,
    RULE,
    SEED,
    STRONGEST,
    Agreement,
    bootstrap_interval,
    standard_error,
)
from analysis.sets.checks import checks_over_prompts
from analysis.sets.circuit import SET_SCORES, CircuitOverPrompts, SetScore
from analysis.sets.drawing import drawn_pairs
from analysis.sets.of_results import node_agreement, node_table, path_agreement, paths_left, paths_to_compare
from analysis.sets.one_item import ItemAgreement, one_node, one_path
from analysis.sets.reading import MOST_BYTES, TableRead, fault_of_pair, read_table
from analysis.sets.ready import READY_KINDS, READY_SIZE, ReadyKind, kind_of
from analysis.sets.template import LONGEST_TEMPLATE, TEMPLATE_SLOTS

__all__ = [
    "CONFIDENCE",
    "LEAST_PROMPTS",
    "LONGEST_TEMPLATE",
    "MOST_BYTES",
    "READY_KINDS",
    "READY_SIZE",
    "RESAMPLES",
    "RULE",
    "SEED",
    "SET_SCORES",
    "STRONGEST",
    "TEMPLATE_SLOTS",
    "Agreement",
    "CircuitOverPrompts",
    "ItemAgreement",
    "ReadyKind",
    "SetScore",
    "TableRead",
    "bootstrap_interval",
    "checks_over_prompts",
    "drawn_pairs",
    "fault_of_pair",
    "kind_of",
    "node_agreement",
    "node_table",
    "one_node",
    "one_path",
    "path_agreement",
    "paths_left",
    "paths_to_compare",
    "read_table",
    "standard_error",
]
