"""What people do to a model before they ask what a path does, as a table."""

from tests.sweep.tampering import adapters, hooks, loaded, logits, parts
from tests.sweep.tampering.table import TABLE, Tampering, folder_of, fresh_model, tampered

__all__ = [
    "TABLE",
    "Tampering",
    "adapters",
    "folder_of",
    "fresh_model",
    "hooks",
    "loaded",
    "logits",
    "parts",
    "tampered",
]
