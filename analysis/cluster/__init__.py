"""The workers of a Dask cluster: reached, looked over, given tasks; what goes there and back is plain bytes.

It knows nothing of what a task is about. `distributed`, which only a cluster needs, is imported when the
first connection is made. What Dask ships of a function is its name (by pickle): the function's module has to
be on the workers. Whoever reaches a scheduler can have its workers run any code: trusted networks alone.
"""

from analysis.cluster.connection import Connection, connected
from analysis.cluster.crew import Crew, Wanted
from analysis.cluster.letters import Arrays, Words, opened, refusal, sealed
from analysis.cluster.on_worker import no_longer_wanted, use_no_more_memory
from analysis.cluster.tasks import Task, done_by

__all__ = [
    "Arrays",
    "Connection",
    "Crew",
    "Task",
    "Wanted",
    "Words",
    "connected",
    "done_by",
    "no_longer_wanted",
    "opened",
    "refusal",
    "sealed",
    "use_no_more_memory",
]
