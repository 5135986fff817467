"""Tests on a real language model, which are run apart: not every machine can have it.

``python3 -m tests`` runs them; alone, once it has made the model: ``pytest -o addopts= tests/real_model``.
"""

from __future__ import annotations

#: How `tests.real_model.conversion` ends where the packages that it needs cannot be installed.
NOT_TO_BE_HAD = 3
