"""A definition cannot change without its version, and the proof of that can fail."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests import definitions
from tests.definitions import ROOT, complaints, parts, record_anew, recorded

PATCHING = {
    "AllSourcesRequest",
    "ChosenPathsRequest",
    "HeadPathsRequest",
    "PathEstimatesRequest",
    "PathPositionsRequest",
    "PathRequest",
    "SanityRequest",
    "StrongestPathsRequest",
}
ATTRIBUTION = {"AttributionRequest", "NodeAttributionRequest"}
CIRCUITS = {
    "CircuitRequest",
    "CircuitScoresRequest",
    "EdgePositionsRequest",
    "EdgeSetsRequest",
    "GraphRequest",
    "NeuronsRequest",
    "NodeRequest",
}
ALL = {definition.name for definition in definitions.definitions()}
#: What to find in a module and what to put there, where any other code will do.
PLANTED = ("\nimport", "\nimport math\nimport")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the code that a test may spoil."""
    shutil.copytree(ROOT / "analysis", tmp_path / "analysis", ignore=shutil.ignore_patterns("*.safetensors"))
    return tmp_path


def changed(house: Path, module: str, old: str, new: str) -> None:
    path = house / "analysis" / f"{module}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def named(house: Path) -> set[str]:
    return {sentence.split()[0] for sentence in complaints(recorded(), house)}


def test_every_definition_is_the_one_recorded_for_its_version():
    assert list(complaints(recorded())) == []
    assert set(recorded()) == ALL


@pytest.mark.parametrize(
    ("module", "old", "new", "kinds"),
    [
        (
            "metrics/named",
            "logits[..., 0] - logits[..., 1]",
            "logits[..., 1] - logits[..., 0]",
            ALL - ATTRIBUTION - {"PromptSetRequest", "DraftRequest"},
        ),
        (
            "nodes",
            "layers[:, None, None, None] < ",
            "layers[:, None, None, None] <= ",
            PATCHING | CIRCUITS | ATTRIBUTION,
        ),
        ("sweep/gate", *PLANTED, PATCHING | CIRCUITS),
        ("circuit/pair", *PLANTED, CIRCUITS | {"SanityRequest"}),
        ("patching/all_sources", "-np.abs(", "np.abs(", {"AllSourcesRequest"}),
        ("patching/of_prompts", *PLANTED, {"PathEstimatesRequest", "StrongestPathsRequest"}),
        ("experiment/alternatives", "_DRAWS = 30", "_DRAWS = 40", {"DraftRequest"}),
        ("experiment/overview", "TOP_TOKENS = 10", "TOP_TOKENS = 12", {"OverviewRequest"}),
        ("sanity/checks", "ROUNDING = 1e-5", "ROUNDING = 1e-4", {"SanityRequest"}),
        ("sets/drawing", "_SEED = 0", "_SEED = 1", {"PromptSetRequest"}),
        ("models/loading", *PLANTED, ALL),
        ("attribution/residual", *PLANTED, ATTRIBUTION | {"SanityRequest"}),
    ],
)
def test_a_changed_definition_is_noticed_for_every_kind_that_it_defines(house, module, old, new, kinds):
    changed(house, module, old, new)
    assert named(house) == kinds
    told = next(complaints(recorded(), house))
    assert f"analysis.{module.replace('/', '.')}" in told and "Raise the version in analysis." in told


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("metrics/named", '    """Answer minus foil."""', '    """Foil minus answer?"""'),
        ("nodes", "    layers = ", "    # Later is a larger number.\n\n    layers = "),
        ("sweep/gate", '"""', '"""And more: '),
        ("charts/scales", *PLANTED),
        ("store/disk", *PLANTED),
    ],
)
def test_comments_docstrings_and_rooms_that_define_nothing_may_change(house, module, old, new):
    changed(house, module, old, new)
    assert named(house) == set()


def test_a_module_that_comes_in_later_belongs_to_the_definition(house):
    (house / "analysis" / "newroom").mkdir()
    (house / "analysis" / "newroom" / "__init__.py").write_text("from analysis.newroom.score import share\n")
    (house / "analysis" / "newroom" / "score.py").write_text("share = 0.5\n")
    changed(house, "sweep/readout", "\nimport", "\nfrom analysis.newroom import share\nimport")
    (sweep,) = (found for found in definitions.definitions() if found.name == "AllSourcesRequest")
    assert "analysis.newroom.score" in parts(sweep, house)


def test_other_fields_of_request_or_result_are_another_definition(monkeypatch):
    overview = next(found for found in definitions.definitions() if found.name == "OverviewRequest")
    monkeypatch.setattr(definitions, "definitions", lambda: (replace(overview, layout="other"),))
    assert "(fields)" in next(complaints(recorded()))


def test_every_module_of_the_rooms_that_compute_is_part_of_a_definition():
    known = {name for entry in recorded().values() for name in entry["parts"]}
    rooms = ("attribution", "decoder", "patching", "sanity", "sweep")
    there = {
        f"analysis.{room}.{path.stem}"
        for room in rooms
        for path in (ROOT / "analysis" / room).glob("[!_]*.py")
    }
    # The functions of the seed's signatures are called with caches of one's own, and store nothing.
    assert there - known == {"analysis.patching.direct_path", "analysis.sweep.estimate"}


@pytest.fixture
def written(monkeypatch, tmp_path) -> Path:
    """A record of one's own, in which the overview was another one at its version."""
    record = recorded()
    record["OverviewRequest"]["parts"]["analysis.metrics"] = "another"
    path = tmp_path / "definitions.json"
    path.write_text(json.dumps(record))
    monkeypatch.setattr(definitions, "RECORD", path)
    return path


def test_the_command_records_nothing_whose_version_was_not_raised(written, capsys):
    before = json.loads(written.read_text())
    assert definitions.main() == 1
    assert json.loads(written.read_text()) == before
    told = capsys.readouterr().err
    assert told.startswith(
        "OverviewRequest is defined otherwise than when its version 3 was recorded (analys"
    )


def test_the_command_records_what_was_raised(written, monkeypatch):
    from analysis.results import OverviewRequest

    monkeypatch.setattr(OverviewRequest, "version", OverviewRequest.version + 1)
    assert "Run python -m tests.definitions" in next(complaints(recorded()))
    assert definitions.main() == 0
    assert recorded()["OverviewRequest"]["version"] == OverviewRequest.version
    assert list(complaints(recorded())) == []


def test_a_version_is_never_taken_back(monkeypatch):
    from analysis.results import OverviewRequest

    record = recorded()
    monkeypatch.setattr(OverviewRequest, "version", 0)
    assert record_anew(record) == record
    assert next(complaints(record)).startswith("OverviewRequest has version 0")
