"""The link of a page: it holds the whole view, short if need be, and opens from the store without a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from streamlit.testing.v1 import AppTest

from analysis.demo_model.examples import EXAMPLES
from analysis.kept import keep_view
from pages.shared.keys import PROMPT_KEYS, Key
from pages.shared.navigation import CIRCUIT
from tests.pages.looking import ROOT, texts

Visit = Callable[..., AppTest]
FIRST, THIRD = EXAMPLES[0], EXAMPLES[2]
LONG = {
    **{key.value: getattr(THIRD, key) for key in PROMPT_KEYS},
    "component": "k",
    "layer_norm": "exact",
    "metric": "answer_log_probability",
    "source_head": "1",
    "source_layer": "1",
    "selected": "L1H1 → L2H2.k",
}

#: Opens a link in a fresh process; prints what of the heavy libraries it has loaded.
OPENED = """
import json, sys
from tests.pages.looking import captions, visit
app = visit(sys.argv[1], **json.loads(sys.argv[2]))
assert not app.exception
assert "Read from the store." in captions(app)
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"torch", "transformers", "transformer_lens"}))
"""


def links(app: AppTest) -> list[dict[str, str]]:
    """The parameters of every link that can be copied."""
    codes = [element.value for element in app.sidebar.code]
    return [dict(parse_qsl(code.partition("?")[2], keep_blank_values=True)) for code in codes]


def short(app: AppTest) -> str:
    """The name in the short link, once it is asked for."""
    app.button(key=f"{Key.SHORT_LINK}_button").click().run()
    assert not app.exception
    whole, brief = links(app)
    assert whole == LONG and set(brief) == {"view"}
    return brief["view"]


def test_the_link_holds_what_the_address_does(visit: Visit):
    assert links(visit("result")) == [{}]
    app = visit("path_patching", foil=" Helen", component="k")
    assert links(app) == [{"foil": " Helen", "component": "k"}] == [dict(app.query_params)]
    app.text_input(key=Key.FOIL).set_value(" Tom & Jerry")
    app.button(key=Key.ASK).click().run()
    assert links(app)[0]["foil"] == " Tom & Jerry", "and of what is changed since"


def test_a_short_link_opens_the_same_view_and_the_address_stays_short(visit: Visit, own_store):
    sender = visit("path_patching", **LONG)
    name = short(sender)
    receiver = visit("path_patching", view=name)
    assert not receiver.exception and receiver.query_params == {"view": name}
    for key in (*PROMPT_KEYS, Key.COMPONENT, Key.LAYER_NORM, Key.METRIC, Key.SOURCE_LAYER, Key.SELECTED):
        assert receiver.session_state[key] == sender.session_state[key]
    assert links(receiver) == [LONG, {"view": name}], "its own link is as short"


def test_what_is_changed_then_stands_in_the_address_whole(visit: Visit, own_store):
    name = keep_view(LONG)
    app = visit("path_patching", view=name)
    app.text_input(key=Key.FOIL).set_value(" Helen")
    app.button(key=Key.ASK).click().run()
    assert app.query_params == LONG | {"foil": " Helen"}


def test_links_to_other_pages_take_the_view_along(visit: Visit, own_store):
    name = keep_view(LONG)
    app = visit("path_patching", view=name)
    queries = {
        link.proto.label: dict(parse_qsl(link.proto.query_string)) for link in app.sidebar.get("page_link")
    }
    assert queries[CIRCUIT.title] == {"view": name}
    changed = [dict(parse_qsl(link.proto.query_string)) for link in app.main.get("page_link")]
    assert LONG | {"selected": "L1H1"} in changed, "one that changes something holds the rest, too"


def test_a_view_that_is_not_there_is_told_and_the_first_example_shown(visit: Visit, own_store):
    app = visit("result", view="0" * 40)
    assert not app.exception and "The short link's view is not in this server's store" in texts(app)
    assert app.query_params == {} and app.session_state[Key.CLEAN] == FIRST.clean


def test_a_short_view_has_no_shorter_link(visit: Visit):
    assert not [button for button in visit("result").button if button.key == f"{Key.SHORT_LINK}_button"]


def test_a_store_that_keeps_nothing_says_so(visit: Visit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    app = visit("path_patching", **LONG)
    (tmp_path / "file").write_text("here is no folder")
    monkeypatch.setenv("PATHSCOPE_STORE_DIR", str(tmp_path / "file" / "store"))
    app.button(key=f"{Key.SHORT_LINK}_button").click().run()
    assert not app.exception and texts(app).count("There is no short link, as the server could not keep") == 1
    assert len(links(app)) == 1


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("path_patching", LONG),
        ("direct_logit_attribution", {"position": "3", "run": "corrupted", "selected": "L2H1"}),
        ("compare", {"b_clean": FIRST.corrupted, "b_corrupted": FIRST.clean, "b_run": "corrupted"}),
    ],
)
@pytest.mark.parametrize("brief", [False, True])
def test_a_link_opens_in_a_fresh_process_without_loading_a_model(
    visit: Visit, own_store, page: str, words: dict[str, str], brief: bool
):
    assert not visit(page, **words).exception
    sent = {"view": keep_view(words)} if brief else words
    run = subprocess.run(
        [sys.executable, "-c", OPENED, page, json.dumps(sent)],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"
