"""Results as text that leaves: a circuit as JSON that loads again, as CSV, and as Python that runs."""

from analysis.exports.asked import request_python
from analysis.exports.circuit_file import circuit_from_json, circuit_json
from analysis.exports.saved_circuit import (
    LONGEST_NAME,
    Groups,
    SavedCircuit,
    SavedScores,
)
from analysis.exports.script import circuit_python
from analysis.exports.spreadsheet import circuit_csv, inert_csv

__all__ = [
    "LONGEST_NAME",
    "Groups",
    "SavedCircuit",
    "SavedScores",
    "circuit_csv",
    "circuit_from_json",
    "circuit_json",
    "circuit_python",
    "inert_csv",
    "request_python",
]
