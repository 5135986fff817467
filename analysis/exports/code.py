"""Code that leaves, kept as cells: the same cells make a script and a notebook."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from string import Template
from typing import Any, Literal

from analysis.labels import model_title
from analysis.release import __version__
from analysis.requests import Experiment

#: What code needs: the library alone, or a clone of this repository.
Needs = Literal["TransformerLens", "Pathscope"]

_HEADER: dict[Needs, str] = {
    "TransformerLens": (
        "It needs TransformerLens 4.3 alone (pip install transformer_lens==4.3.0), nothing of Pathscope."
    ),
    "Pathscope": (
        "It needs Pathscope's package `analysis`: save it in the root of a clone of Pathscope and run it\n"
        "there, with the packages of requirements.txt."
    ),
}


@dataclass(frozen=True)
class Code:
    """A question as Python that asks it anew: its cells in order, each with a line on what it does.

    Every text of a person stands in it as a literal. After the last cell `table` holds the numbers.
    """

    title: str
    needs: Needs
    cells: tuple[tuple[str, str], ...]
    note: str = ""

    @property
    def header(self) -> str:
        """What it answers, and what it needs."""
        lines = [f"{self.title}, as Pathscope {__version__} asked for it.", "", _HEADER[self.needs]]
        return "\n".join([*lines, self.note] if self.note else lines)

    def script(self) -> str:
        """The cells as one file."""
        body = "\n\n".join(f"# {said}\n{code}" for said, code in self.cells)
        return f'"""{self.header}\n"""\n\n{body}\n'

    def notebook(self) -> str:
        """The cells as a Jupyter notebook (nbformat 4.5), none of them run."""
        cells = [_cell(0, "markdown", f"# {self.title}\n\n" + self.header.partition("\n\n")[2])]
        for said, code in self.cells:
            cells += [_cell(len(cells), "markdown", said), _cell(len(cells) + 1, "code", code)]
        notebook = {
            "cells": cells,
            "metadata": {
                "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                "language_info": {"name": "python"},
            },
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        return json.dumps(notebook, indent=1) + "\n"


def _cell(number: int, kind: str, source: str) -> dict[str, Any]:
    own: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": source} | own


def filled(template: str, values: Mapping[str, Any], **written: str) -> str:
    """`template` with each ``$name`` replaced by the literal of its value, or as it is `written`."""
    return Template(template).substitute({name: repr(value) for name, value in values.items()} | written)


def lines(items: Iterable[object]) -> str:
    """The literal of each of `items` as a line of a list."""
    return "\n".join(f"    {item!r}," for item in items)


def arguments(of: Any, indent: str = "    ") -> str:
    """The fields of a dataclass, but for an experiment, as a line of an argument each."""
    return "\n".join(
        f"{indent}{each.name}={getattr(of, each.name)!r}," for each in fields(of) if each.name != "experiment"
    )


def without_places(experiment: Experiment) -> Experiment:
    """`experiment` as it may leave the machine: of a folder that the model is read from, its own name."""
    return replace(experiment, model=model_title(experiment.model))
