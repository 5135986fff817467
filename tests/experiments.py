"""Experiments on small models, and a store of their own, for the tests of the entry points."""

from __future__ import annotations

from pathlib import Path

from analysis.requests import Experiment


def on(model: Path | str, clean: str = " a b c d e f", corrupted: str = " a b x d y f") -> Experiment:
    """Two prompts of one length for the byte-level tokenizer of `tests.families`."""
    return Experiment(str(model), clean, corrupted, " g", " h")
