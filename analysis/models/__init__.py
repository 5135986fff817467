"""Which models there are, the files that decide their numbers, and loading one."""

from analysis.models.catalogue import CatalogueEntry, LoadedModel, entries, fingerprint, load
from analysis.models.files import DEMO, ModelFiles, compute_dtype, find, read_json

__all__ = [
    "DEMO",
    "CatalogueEntry",
    "LoadedModel",
    "ModelFiles",
    "compute_dtype",
    "entries",
    "find",
    "fingerprint",
    "load",
    "read_json",
]
