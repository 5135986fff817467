"""Which models there are, the files that decide their numbers, and loading one."""

from analysis.models.catalogue import GPT2_SMALL, LoadedModel, before_loading, fingerprint, load, offered
from analysis.models.downloads import Download, download_of, forget_download
from analysis.models.files import ModelFiles, fetched, find, is_from_hub
from analysis.models.offered import (
    ATTENTION,
    BUNDLED,
    DEMO,
    INDUCTION,
    CatalogueEntry,
    entries,
    ready_examples,
    size,
)

__all__ = [
    "ATTENTION",
    "BUNDLED",
    "DEMO",
    "GPT2_SMALL",
    "INDUCTION",
    "CatalogueEntry",
    "Download",
    "LoadedModel",
    "ModelFiles",
    "before_loading",
    "download_of",
    "entries",
    "fetched",
    "find",
    "fingerprint",
    "forget_download",
    "is_from_hub",
    "load",
    "offered",
    "ready_examples",
    "size",
]
