"""Which models there are, the files that decide their numbers, and loading one."""

from analysis.models.catalogue import GPT2_SMALL, LoadedModel, before_loading, fingerprint, load, offered
from analysis.models.files import ModelFiles, compute_dtype, fetched, find, is_from_hub
from analysis.models.offered import DEMO, CatalogueEntry, entries
from analysis.models.reading import read_json

__all__ = [
    "DEMO",
    "GPT2_SMALL",
    "CatalogueEntry",
    "LoadedModel",
    "ModelFiles",
    "before_loading",
    "compute_dtype",
    "entries",
    "fetched",
    "find",
    "fingerprint",
    "is_from_hub",
    "load",
    "offered",
    "read_json",
]
