"""Questions as Python that asks them anew through the package `analysis`, and prints their numbers."""

from __future__ import annotations

from typing import Any

from analysis.exports.code import Code, arguments
from analysis.requests import Experiment, Request
from analysis.results import SanityRequest

_ASKED = """\
result = answer(
    {kind}(
        experiment,
{asked}
    )
).result
print(result.provenance.rows())"""

_CHECKS = """\
import pandas as pd

table = pd.DataFrame(result.checks, columns=["check", "what must hold", "measured", "limit"])
print(table.assign(passed=table["measured"] <= table["limit"]).to_string())"""


def request_code(request: Request[Any], table: str = "table()") -> Code:
    """Code that answers `request` and prints its table, which the result has by the name `table`.

    The model stands in it as the experiment names it, a local folder by its path: `without_places` takes
    that out for what leaves the machine.
    """
    kind = type(request).__name__
    printed = f"table = result.{table}\nprint(table.to_string())"
    return Code(
        f"The question {kind}",
        "Pathscope",
        (
            ("The model, the prompts, the answers.", experiment_cell(request.experiment, kind)),
            ("The question.", _ASKED.format(kind=kind, asked=arguments(request, "        "))),
            ("Its table.", _CHECKS if isinstance(request, SanityRequest) else printed),
        ),
    )


def experiment_cell(experiment: Experiment, kind: str) -> str:
    """What asks a question of that `kind`, and the experiment."""
    imports = (
        "from analysis.answers import answer",
        "from analysis.requests import Experiment",
        f"from analysis.results import {kind}",
    )
    return "\n".join((*imports, "", "experiment = Experiment(", arguments(experiment), ")"))
