"""What a server for strangers allows, written in this one place and read by everything.

On a machine of one's own (`PATHSCOPE_HOSTED` is not set) nothing is bounded but by the settings.
"""

from __future__ import annotations

from dataclasses import dataclass

from analysis.errors import ModelError, PathscopeError
from analysis.settings import settings

#: The bounds of a server for strangers.
_TOKENS, _EDGES, _JOB_SECONDS, _RESULTS, _RUNNING, _WAITING = 64, 10_000, 120.0, 200, 1, 2
#: Pairs of a prompt set there; elsewhere a set has its own bound.
_PAIRS = 16
#: Seconds that work goes on there after its last watcher left.
_GRACE_SECONDS = 30.0
#: Pages that are drawn, and results that are computed for pages, at a time: all share one interpreter.
_DRAWN, _COMPUTED = 1, 1
#: Messages that one page sends in a minute: twice what two running bars and a visitor in haste do.
_MESSAGES = 600

OWN_MACHINE = (
    "Or run it on your own machine, where you set the bounds: in a clone of Pathscope, "
    "`python3 -m venv .venv && .venv/bin/pip install -r requirements.txt`, then "
    "`.venv/bin/streamlit run app.py`."
)


@dataclass(frozen=True)
class Policy:
    """What is allowed; None where nothing is forbidden.

    `models` are the names of the Hub that may be used beside the bundled ones. `pairs` is how many pairs a
    prompt set may have, `edges` how many paths one request may measure, `job_seconds` how long one job may
    run, `results` how many results one visit may have computed, `running` and `waiting` how many jobs one
    visitor may have; `drawn_at_once` and `computed_at_once` are pages, and results that pages wait for, of
    all visitors together. `grace_seconds` is how long a job goes on unwatched, below 0 to its end; `requests`
    and `messages` are those of a minute, of one address and of one page. `header` names what tells a
    visitor's address, `embedded` whether other sites may show the pages within their own.
    """

    hosted: bool
    models: tuple[str, ...] | None
    prompt_tokens: int
    pairs: int | None
    edges: int | None
    job_seconds: float | None
    results: int | None
    running: int | None
    waiting: int | None
    drawn_at_once: int | None
    computed_at_once: int | None
    grace_seconds: float
    requests: int | None
    messages: int | None
    header: str
    embedded: bool

    @property
    def prompt_characters(self) -> int:
        """Characters that a prompt may have, so that a longer one is not even cut into tokens."""
        return 10 * self.prompt_tokens

    def way_out(self, locally: str) -> str:
        """How a sentence about a bound ends: `locally`, where the person who meets it also sets it."""
        return f". {OWN_MACHINE}" if self.hosted else locally

    def check_model(self, name: str, bundled: tuple[str, ...]) -> None:
        """Raise `ModelError` where `name` may not be used; it tells nothing of what lies on this machine."""
        if self.models is not None and name not in (*bundled, *self.models):
            *first, last = map(repr, (*bundled, *self.models))
            offered = f"{', '.join(first)} and {last}"
            raise ModelError(f"That model is not offered here; {offered} may be chosen. {OWN_MACHINE}")

    def check_pairs(self, n_pairs: int) -> None:
        """Raise `PathscopeError` where a prompt set of `n_pairs` is too large."""
        if self.pairs is not None and n_pairs > self.pairs:
            raise PathscopeError(
                f"This prompt set has {n_pairs} pairs, and at most {self.pairs} are taken here. Leave some "
                f"out. {OWN_MACHINE}"
            )

    def check_edges(self, n_edges: int) -> None:
        """Raise `PathscopeError` where a request that measures `n_edges` paths is too large."""
        if self.edges is not None and n_edges > self.edges:
            raise PathscopeError(
                f"This measures {n_edges:,} paths, and at most {self.edges:,} are measured for one request "
                f"here. Choose a smaller model or fewer paths. {OWN_MACHINE}"
            )

    def sentences(self) -> tuple[str, ...]:
        """The policy in plain words."""
        if not self.hosted:
            return (
                "This is a server of one's own: it takes any model, and is bounded by the settings alone.",
            )
        models = ", ".join(("the bundled ones", *(self.models or ())))
        return (
            f"Models: {models}. No other is loaded, and nothing is fetched while the server runs.",
            f"A prompt has at most {self.prompt_tokens} tokens and {self.prompt_characters} characters.",
            f"A prompt set has at most {self.pairs} pairs.",
            f"One request measures at most {self.edges:,} paths, and a job works at most "
            f"{self.job_seconds:g} s.",
            f"A visit has at most {self.results} results computed.",
            f"A visitor has at most {self.running} sweep or search running and {self.waiting} waiting; "
            f"places go round between visitors. What nobody has watched for {self.grace_seconds:g} s is "
            "stopped.",
            f"Pages are drawn {self.drawn_at_once} at a time, and results for them computed "
            f"{self.computed_at_once} at a time; next is whose address has had least of that lately.",
            f"An address makes at most {self.requests:,} requests in a minute.",
            "A cookie with a random name lets a browser find its own history again; it tells nothing else, "
            "and no script and no other site reads it.",
            "Files are not taken. Prompts are not logged; the results that are kept hold their tokens, and a "
            "history and the short links that are asked for hold their texts.",
        )


def policy() -> Policy:
    """The policy in force, by what the settings say at this call.

    Raises `PathscopeError` as they do, and where strangers are served and a cluster is named.
    """
    limits = settings()
    hosted = bool(limits.hosted)
    if hosted and limits.cluster:
        raise PathscopeError(
            f"PATHSCOPE_HOSTED is 1 and PATHSCOPE_CLUSTER is {limits.cluster!r}, and a server for strangers "
            "gives no work to other machines. Unset one of them."
        )
    return Policy(
        hosted=hosted,
        models=_listed(limits.hosted_models) if hosted else None,
        prompt_tokens=min(limits.prompt_tokens, _TOKENS) if hosted else limits.prompt_tokens,
        pairs=_PAIRS if hosted else None,
        edges=_EDGES if hosted else None,
        job_seconds=_JOB_SECONDS if hosted else None,
        results=_RESULTS if hosted else None,
        running=_RUNNING if hosted else None,
        waiting=_WAITING if hosted else None,
        drawn_at_once=_DRAWN if hosted else None,
        computed_at_once=_COMPUTED if hosted else None,
        grace_seconds=_GRACE_SECONDS if hosted and limits.grace_seconds < 0 else limits.grace_seconds,
        requests=limits.hosted_requests if hosted else None,
        messages=_MESSAGES if hosted else None,
        header=limits.trusted_header if hosted else "",
        embedded=bool(limits.embed),
    )


def _listed(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())
