"""What each stored quantity is defined by: ``python -m tests.definitions`` records it anew.

A stored number is served for as long as the version of its kind is the same. So whoever changes code
that defines a kind's numbers raises that version, and records the new definition with this command,
which takes over nothing whose version was not raised. A definition is

- the code of every module that what computes it imports, from module to module, but for those of the
  rooms that carry, keep or show numbers and define none;
- the fields of request and result, since stored results are read back by them.

Code is compared without comments, docstrings and layout.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import analysis.results
from analysis.requests import Request, kinds

ROOT = Path(__file__).resolve().parent.parent
RECORD = Path(__file__).with_suffix(".json")

#: Rooms and modules in which no number comes about: they find, carry, keep, name or show it, or what
#: they decide stands in the keys by itself. A new room counts as one that defines.
DEFINES_NOTHING = (
    *(
        "answers",
        "attention_model",
        "charts",
        "compare",
        "demo_model",
        "errors",
        "exports",
        "induction_model",
        "jobs",
        "kept",
        "labels",
        "memory",
        "policy",
        "release",
        "requests",
        "results",
        "settings",
        "store",
    ),
    *(
        "models.catalogue",
        "models.files",
        "models.hub",
        "models.offered",
        "experiment.keys",
        "experiment.realign",
    ),
)


@dataclass(frozen=True)
class Definition:
    """A name in the record: the modules of what computes it, its version, and where that is raised."""

    name: str
    modules: tuple[str, ...]
    version: int
    raised_in: str
    layout: str = ""


def definitions() -> tuple[Definition, ...]:
    """Every kind of question of the house."""
    assert analysis.results
    found = [_of_kind(kind) for kind in kinds() if kind.__module__.startswith("analysis.")]
    return tuple(sorted(found, key=lambda definition: definition.name))


def _of_kind(kind: type[Request[Any]]) -> Definition:
    layout = [(field.name, field.type) for owner in (kind, kind.result_type()) for field in fields(owner)]
    functions = [of.partition(":") for of in (kind.computed_by, kind.computed_together) if of]
    modules = tuple(_home(module, name, ROOT) for module, _, name in functions)
    return Definition(kind.__name__, modules, kind.version, kind.__module__, digest(str(layout)))


def parts(definition: Definition, root: Path = ROOT) -> dict[str, str]:
    """Module -> digest of its code, for all that defines the numbers; ``"fields"`` for the layout."""
    found: dict[str, str] = {}
    waiting, seen = [*definition.modules], set()
    while waiting:
        module = waiting.pop()
        if module in seen or (path := _path(module, root)) is None:
            continue
        seen.add(module)
        if path.name != "__init__.py" and not _within(module, DEFINES_NOTHING):
            found[module] = code_digest(path)
        waiting += imported(path, root)
    return dict(sorted(found.items())) | ({"fields": definition.layout} if definition.layout else {})


def imported(path: Path, root: Path = ROOT) -> list[str]:
    """The modules of `analysis` that a module imports, wherever in it; those of a room by their own names."""
    found = []
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [_home(node.module, alias.name, root) for alias in node.names]
    return [module for module in found if module.startswith("analysis.")]


def _home(module: str, name: str, root: Path) -> str:
    """The module that `name` comes from, where a room's `__init__` hands it on."""
    path = _path(module, root)
    if path is None or path.name != "__init__.py":
        return module
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return _home(node.module or "", name, root)
    return f"{module}.{name}"


def _path(module: str, root: Path) -> Path | None:
    place = root.joinpath(*module.split("."))
    return next((p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None)


def _within(module: str, rooms: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"analysis.{room}.") for room in rooms)


def code_digest(path: Path) -> str:
    """Of a module's code, whatever its comments, docstrings and layout."""
    return digest(repr(_plain(_parsed(path))))


def _plain(node: Any) -> Any:
    """A syntax tree as nested tuples, without what is empty: releases of Python add empty fields."""
    if isinstance(node, list):
        return tuple(_plain(item) for item in node if not _is_text(item))
    if not isinstance(node, ast.AST):
        return node
    named = ((name, _plain(value)) for name, value in ast.iter_fields(node))
    return type(node).__name__, *((name, value) for name, value in named if value not in (None, ()))


def _is_text(statement: Any) -> bool:
    """Whether a statement is nothing but a text, as docstrings are."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _parsed(path: Path) -> ast.Module:
    return _tree(path.read_text(encoding="utf-8"))


@cache
def _tree(text: str) -> ast.Module:
    return ast.parse(text)


def digest(text: str) -> str:
    """Short enough to be read, long enough never to meet by chance."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def recorded() -> dict[str, Any]:
    """Definition -> its version and the digests of its parts, as they were recorded."""
    record: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    return record


def complaints(record: dict[str, Any], root: Path = ROOT) -> Iterator[str]:
    """A sentence for each definition whose code is not the one recorded for its version."""
    for definition in definitions():
        known = record.get(definition.name)
        if known is None:
            yield f"{definition.name} is not recorded. Run python -m tests.definitions."
        elif definition.version != known["version"]:
            yield (
                f"{definition.name} has version {definition.version}, and version {known['version']} is "
                "recorded. Run python -m tests.definitions."
            )
        elif changed := _changed(parts(definition, root), known["parts"]):
            yield (
                f"{definition.name} is defined otherwise than when its version {definition.version} was "
                f"recorded ({', '.join(changed)}). Raise the version in {definition.raised_in}, so that "
                "stored numbers of the old definition are not served, and run python -m tests.definitions."
            )


def _changed(now: dict[str, str], then: dict[str, str]) -> list[str]:
    return sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))


def record_anew(record: dict[str, Any], root: Path = ROOT) -> dict[str, Any]:
    """`record` with every definition that is new in it or whose version was raised."""
    anew = {}
    for definition in definitions():
        known = record.get(definition.name)
        if known is None or definition.version > known["version"]:
            known = {"version": definition.version, "parts": parts(definition, root)}
        anew[definition.name] = known
    return anew


def main() -> int:
    """Record what may be recorded; 1 if a definition changed and its version was not raised."""
    record = record_anew(recorded())
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
    left = list(complaints(record))
    print(*left, sep="\n", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
