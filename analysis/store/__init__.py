"""Values by content on disk, as safetensors and JSON, each computed once whoever asks.

What is kept here is stored; a cache, in the other rooms, is a run's activations as TransformerLens
gives them.
"""

from analysis.store.disk import Entry
from analysis.store.gallery import Gallery
from analysis.store.memo import Memo, Parts, computed_once, open_store, recall
from analysis.store.store import SCHEMA_VERSION, Store

__all__ = [
    "SCHEMA_VERSION",
    "Entry",
    "Gallery",
    "Memo",
    "Parts",
    "Store",
    "computed_once",
    "open_store",
    "recall",
]
