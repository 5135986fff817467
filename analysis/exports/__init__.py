"""Results as files that leave: code, tables, tensors, reports, and circuits that load again."""

from analysis.exports.asked import request_code
from analysis.exports.circuit_code import circuit_code
from analysis.exports.circuit_file import circuit_from_json, circuit_json
from analysis.exports.code import Code, Needs, without_places
from analysis.exports.compare_code import comparison_code
from analysis.exports.library_code import library_code
from analysis.exports.report import Report, Section, origin_rows, report_html
from analysis.exports.saved_circuit import (
    LONGEST_NAME,
    Groups,
    SavedCircuit,
    SavedScores,
)
from analysis.exports.set_code import checks_set_code, circuit_set_code, prompt_set_code
from analysis.exports.spreadsheet import inert_csv
from analysis.exports.tables import ORIGIN, TableFile, table_json, table_parquet
from analysis.exports.tensors import (
    Tensors,
    tensors_npz,
    tensors_of,
    tensors_of_agreement,
    tensors_of_circuit_set,
    tensors_safetensors,
)

__all__ = [
    "LONGEST_NAME",
    "ORIGIN",
    "Code",
    "Groups",
    "Needs",
    "Report",
    "SavedCircuit",
    "SavedScores",
    "Section",
    "TableFile",
    "Tensors",
    "checks_set_code",
    "circuit_code",
    "circuit_from_json",
    "circuit_json",
    "circuit_set_code",
    "comparison_code",
    "inert_csv",
    "library_code",
    "origin_rows",
    "prompt_set_code",
    "report_html",
    "request_code",
    "table_json",
    "table_parquet",
    "tensors_npz",
    "tensors_of",
    "tensors_of_agreement",
    "tensors_of_circuit_set",
    "tensors_safetensors",
    "without_places",
]
