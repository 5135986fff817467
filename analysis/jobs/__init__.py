"""Long work in the background: one run per request, progress, cancel, resume."""

from analysis.jobs.board import find, stop_all, submit
from analysis.jobs.job import Job, JobSnapshot, State

__all__ = [
    "Job",
    "JobSnapshot",
    "State",
    "find",
    "stop_all",
    "submit",
]
