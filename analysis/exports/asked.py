"""A question as a Python script that asks it anew and prints its numbers."""

from __future__ import annotations

from dataclasses import fields
from string import Template
from typing import Any

from analysis.release import __version__
from analysis.requests import Request

_SCRIPT = Template('''\
"""A question that Pathscope $version answered: $kind.

Save it in the root of a clone of Pathscope and run it there, with the packages of requirements.txt.
"""

from analysis.answers import answer
from analysis.requests import Experiment
from analysis.results import $kind

experiment = Experiment(
$experiment
)
result = answer(
    $kind(
        experiment,
$asked
    )
).result
print(result.provenance.rows())
print(result.table($table).to_string())
''')


def request_python(request: Request[Any], table: str = "") -> str:
    """A script that answers `request` and prints its table; `table` is what the table is asked for.

    The model stands in it as the experiment names it, a local folder by its path: the script is for
    whoever copies it.
    """
    return _SCRIPT.substitute(
        version=__version__,
        kind=type(request).__name__,
        experiment=_arguments(request.experiment, "    "),
        asked=_arguments(request, "        "),
        table=table,
    )


def _arguments(of: Any, indent: str) -> str:
    return "\n".join(
        f"{indent}{each.name}={getattr(of, each.name)!r}," for each in fields(of) if each.name != "experiment"
    )
