"""The results that exported code is held against, each computed once for a file of tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from analysis.answers.compute import compute
from analysis.requests import Request
from analysis.store.store import Store


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Request[Any]], Any]:
    store, known = Store.open(tmp_path_factory.mktemp("store")), {}

    def result(request: Request[Any]) -> Any:
        if request not in known:
            known[request] = compute(request, store)
        return known[request]

    return result
