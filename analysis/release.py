"""Which release this is: it stands in every key of the store and in every provenance."""

from __future__ import annotations

__version__ = "1.4.0"
