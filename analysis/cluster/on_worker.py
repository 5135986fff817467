"""What a worker is told by Dask while it does a task."""

from __future__ import annotations

import os
from collections.abc import Callable


def no_longer_wanted() -> Callable[[], bool]:
    """Whether nobody waits any more for the task that the calling thread does; any thread may ask."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def gone() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    return gone


def use_no_more_memory() -> None:
    """Hold this process to what Dask has given the worker, unless PATHSCOPE_MEMORY_BYTES says otherwise."""
    from distributed import get_worker

    limit = get_worker().memory_manager.memory_limit
    if limit:
        os.environ.setdefault("PATHSCOPE_MEMORY_BYTES", str(limit))
