"""Long work in the background: one run per request, progress, cancel, resume."""

from analysis.jobs.board import find, submit
from analysis.jobs.job import Job, JobSnapshot, State

__all__ = [
    "Job",
    "JobSnapshot",
    "State",
    "find",
    "submit",
]
