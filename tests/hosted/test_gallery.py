"""The first page of a server for strangers: ready results with sentence and link, without a model."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analysis.models import BUNDLED, entries, ready_examples
from pages.shared.keys import Key
from tests.hosted.conftest import FIRST_EXAMPLE
from tests.pages.looking import ROOT

#: Each page of the first example, drawn in a fresh process from the gallery alone.
VISITS = """
import sys
from tests.pages.looking import visit
for model in ("demo", "induction", "attention"):
  for page in sys.argv[1:]:
    app = visit(page, model=model)
    assert not app.exception, page
    captions = [caption.value for caption in app.main.caption]
    assert page == "gallery" or "Read from the store." in captions, page
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"torch", "transformers", "transformer_lens"}))
"""


def drawn_from(gallery: Path, store: Path, *pages: str) -> str:
    """What the process that draws `pages` prints, on a store that cannot be written."""
    environment = os.environ | {
        "PATHSCOPE_HOSTED": "1",
        "PATHSCOPE_GALLERY_DIR": str(gallery),
        "PATHSCOPE_STORE_DIR": str(store),
    }
    command = [sys.executable, "-c", VISITS, *pages]
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_the_gallery_and_the_pages_behind_it_need_no_model(gallery_folder, tmp_path):
    (tmp_path / "file").write_text("here is no folder")
    pages = ("gallery", "result", "direct_logit_attribution", "path_patching", "all_sources", "circuit")
    assert drawn_from(gallery_folder, tmp_path / "file" / "store", *pages, "sanity_checks") == "[]"


@pytest.fixture
def gallery(hosted, gallery_folder, monkeypatch, visit: Callable[..., AppTest]) -> AppTest:
    monkeypatch.setenv("PATHSCOPE_GALLERY_DIR", str(gallery_folder))
    monkeypatch.setenv("PATHSCOPE_HOSTED_MODELS", "")
    app = visit("gallery")
    assert not app.exception
    return app


def test_each_ready_pair_stands_there_with_sentences_and_links(gallery):
    examples = {model: ready_examples(model)[FIRST_EXAMPLE] for model in BUNDLED}
    assert [title.value for title in gallery.header] == [f"Bundled model {model}" for model in BUNDLED]
    captions = [caption.value for caption in gallery.main.caption]
    assert all(entry.description in captions for entry in entries() if entry.name in BUNDLED)
    assert [title.value for title in gallery.subheader] == [one.title for one in examples.values()]
    told = "\n".join(text.value for text in gallery.main.text)
    for example in examples.values():
        assert example.clean in told
    for words in ("Answer minus foil: ", "Largest direct effects", " tells ", "is worth most"):
        assert told.count(words) == len(BUNDLED)
    links = [link.proto for link in gallery.main.get("page_link")]
    pages = ["Result", "Direct logit attribution", "Path patching", "Circuit"]
    assert [link.label for link in links] == len(BUNDLED) * pages
    for model, first_word, some in (
        ("demo", "When", links[:4]),
        ("induction", "A", links[4:8]),
        ("attention", "When", links[8:]),
    ):
        asked = (f"clean={first_word}+", f"model={model}")
        assert all(word in link.query_string for word in asked for link in some)


def test_a_gallery_without_results_says_what_to_do(hosted, visit: Callable[..., AppTest]):
    app = visit("gallery")
    assert not app.exception and not app.subheader
    assert "Nothing is ready here yet." in "\n".join(text.value for text in app.main.text)


def test_it_is_the_first_page_where_strangers_are_served_and_else_there_is_none(hosted, monkeypatch):
    first = AppTest.from_file(str(ROOT / "app.py"), default_timeout=180).run()
    assert first.title[0].value == "Gallery"
    monkeypatch.delenv("PATHSCOPE_HOSTED")
    own = AppTest.from_file(str(ROOT / "app.py"), default_timeout=180).run()
    assert own.title[0].value == "Result" and Key.MODEL in own.session_state
    assert "Gallery" not in [link.proto.label for link in own.sidebar.get("page_link")]
