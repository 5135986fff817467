"""Strangers use the models that the host names: no path, no id, no download, and no word of what there is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import pytest
from streamlit.testing.v1 import AppTest

from analysis import host, models
from analysis.errors import ModelError, PathscopeError
from analysis.models import ATTENTION, BUNDLED, DEMO, INDUCTION, fetched, find, is_from_hub, offered
from analysis.policy import OWN_MACHINE
from pages.shared.keys import Key
from tests.hosted.conftest import NAMED
from tests.models.hub import Hub
from tests.pages.test_notes import notes

pytestmark = pytest.mark.usefixtures("hosted")

OFFERED = f"'demo', 'induction', 'attention' and '{NAMED}'"
REFUSED = f"That model is not offered here; {OFFERED} may be chosen. {OWN_MACHINE}"


@pytest.fixture
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of a model folder that is there."""
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("HOME", str(folder.parent))
    return [str(folder), folder.name, f"./{folder.name}", f"~/{folder.name}", f"demo/../{folder.name}"]


def test_what_is_there_and_what_is_not_are_refused_in_the_same_words(there):
    absent = ["gpt2", "no/such", "/no/such", "/etc/passwd", "", " ", "demo\x00", "x" * 9000, "DEMO"]
    for name in (*there, *absent):
        for ask in (models.fingerprint, models.load):
            with pytest.raises(ModelError) as refusal:
                ask(name)
            assert str(refusal.value) == REFUSED
        assert not is_from_hub(name)


def test_a_named_model_is_that_of_the_hub_though_a_folder_has_its_name(
    named_model, folder, monkeypatch, tmp_path
):
    (tmp_path / "elsewhere" / "pathscope").mkdir(parents=True)
    (tmp_path / "elsewhere" / NAMED).symlink_to(folder)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert find(NAMED).config == named_model / "config.json"
    assert is_from_hub(NAMED) and not any(map(is_from_hub, BUNDLED))


def test_the_bundled_models_and_the_named_one_are_there(named_model):
    assert offered() == (DEMO, INDUCTION, ATTENTION, NAMED)
    assert len({models.fingerprint(name) for name in offered()}) == len(offered())


def test_nothing_is_fetched_for_a_visitor(hub: type[Hub]):
    with pytest.raises(ModelError, match="not downloaded yet"):
        find(NAMED)
    assert not hub.downloads and not hub.logins


def test_the_host_fetches_and_fingerprints_before(hub: type[Hub], capsys):
    assert host.main(["prepare"]) == 0
    assert hub.downloads
    assert capsys.readouterr().out == f"{NAMED}: {models.fingerprint(NAMED)}\n"
    assert fetched(NAMED) == find(NAMED)


def test_what_cannot_be_fetched_is_told(hub: type[Hub], monkeypatch, capsys):
    monkeypatch.setenv("PATHSCOPE_HOSTED_MODELS", "no/such")
    assert host.main(["prepare"]) == 1
    assert "has no model 'no/such'" in capsys.readouterr().err


def test_a_server_does_not_begin_before_its_models_are_there(hub_cache, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(PathscopeError, match=rf"{NAMED}' is not ready: .*python -m analysis.host prepare"):
        host.begin_serving()


def test_from_its_beginning_on_a_server_asks_nothing_of_the_hub(named_model, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    host.begin_serving()
    assert os.environ["HF_HUB_OFFLINE"] == "1" and huggingface_hub.constants.HF_HUB_OFFLINE


def test_the_policy_and_what_does_not_fit_it_are_told(hub_cache, monkeypatch, capsys, tmp_path):
    assert host.main(["check"]) == 1
    told = capsys.readouterr().out
    assert f"Models: the bundled ones, {NAMED}." in told and "at most 64 tokens and 640 characters" in told
    assert f"The model '{NAMED}' is not ready" in told and "This machine fits it." not in told
    monkeypatch.setenv("PATHSCOPE_HOSTED_MODELS", "")
    monkeypatch.setenv("PATHSCOPE_STORE_BYTES", "1TiB")
    monkeypatch.setenv("PATHSCOPE_MEMORY_BYTES", "1MiB")
    assert host.main(["check"]) == 1
    told = capsys.readouterr().out
    assert "MB of memory are free, and the app takes 700 MB" in told
    assert "(PATHSCOPE_STORE_BYTES), and" in told


def test_a_machine_that_fits_is_told(monkeypatch, capsys):
    monkeypatch.setenv("PATHSCOPE_HOSTED_MODELS", "")
    monkeypatch.setenv("PATHSCOPE_STORE_BYTES", "1MiB")
    monkeypatch.setattr(host, "LEAST_MEMORY", 0)
    assert host.main(["check"]) == 0
    assert "This machine fits it." in capsys.readouterr().out


@pytest.mark.parametrize("names", ["../model", "/etc", "a/b/c", "~", "a//b", "a b", "..", "a,,b"])
def test_a_host_names_ids_and_no_paths(monkeypatch, names, capsys):
    monkeypatch.setenv("PATHSCOPE_HOSTED_MODELS", names)
    assert host.main(["check"]) == 1
    assert f"PATHSCOPE_HOSTED_MODELS is '{names}', and must be plain names" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["/etc/passwd", "~", "gpt2", "no/such", "../model", "<b>x</b>"])
def test_the_address_of_another_model_is_answered_in_one_sentence(visit: Callable[..., AppTest], word):
    app = visit("result", model=word)
    assert not app.exception
    told = "The address asks for a model that is not offered here; shown is 'demo'."
    assert notes(app) == [told] and app.session_state[Key.MODEL] == DEMO
    assert "model" not in app.query_params
    assert all(word not in element.value for element in app.text)


def test_nothing_can_be_typed_and_no_file_loaded(visit: Callable[..., AppTest]):
    app = visit("circuit")
    assert not app.exception
    box = app.selectbox(Key.MODEL)
    assert not box.proto.accept_new_options and box.options == [DEMO, INDUCTION, ATTENTION, NAMED]
    assert not app.get("file_uploader")
    assert any("Prompts are not logged" in text.value for text in app.sidebar.text)
