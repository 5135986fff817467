"""Settings cannot be misread: what is none is refused in a sentence, and README's table is the code's."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from platformdirs import user_cache_dir

from analysis.errors import PathscopeError
from analysis.settings import Settings, settings, settings_table

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PATHSCOPE"):
            monkeypatch.delenv(name)


def test_where_nothing_is_set_the_defaults_are_in_force():
    assert settings().store_directory == Path(user_cache_dir("pathscope"))
    assert (settings().store_bytes, settings().sweep_bytes) == (4 * 2**30, 2**30)
    assert (settings().models_loaded, settings().workers, settings().queue_length) == (2, 1, 16)
    assert settings().grace_seconds == -1


@pytest.mark.parametrize(
    ("size", "n_bytes"),
    [
        ("4GB", 4 * 10**9),
        ("512MB", 512 * 10**6),
        ("1.5 GiB", 3 * 2**29),
        ("70000", 70_000),
        (" 2mib ", 2**21),
    ],
)
def test_a_size_may_have_a_unit(monkeypatch, size, n_bytes):
    monkeypatch.setenv("PATHSCOPE_STORE_BYTES", size)
    assert settings().store_bytes == n_bytes


@pytest.mark.parametrize(
    ("name", "value", "limits"),
    [
        ("PATHSCOPE_STORE_BYTES", "abc", "a size such as 4GB, 512MiB or a number of bytes, from 0B to 1PiB"),
        ("PATHSCOPE_CACHE_BYTES", "abc", "a size such as 4GB, 512MiB or a number of bytes, from 0B to 1PiB"),
        ("PATHSCOPE_STORE_BYTES", "-5", "from 0B to 1PiB"),
        ("PATHSCOPE_STORE_BYTES", "4 elephants", "from 0B to 1PiB"),
        ("PATHSCOPE_STORE_BYTES", "9" * 5000, "from 0B to 1PiB"),
        ("PATHSCOPE_SWEEP_BYTES", "0", "from 1KiB to 1TiB"),
        ("PATHSCOPE_MODELS", "0", "a whole number from 1 to 64"),
        ("PATHSCOPE_WORKERS", "0", "a whole number from 1 to 64"),
        ("PATHSCOPE_WORKERS", "1.5", "a whole number from 1 to 64"),
        ("PATHSCOPE_WORKERS", "100000", "a whole number from 1 to 64"),
        ("PATHSCOPE_QUEUE", "many", "a whole number from 1 to 1000"),
        ("PATHSCOPE_GRACE", "nan", "a number of seconds from -1 to 604800"),
        ("PATHSCOPE_GRACE", "inf", "a number of seconds from -1 to 604800"),
    ],
)
def test_a_bad_value_is_refused_with_value_limit_and_way_out(monkeypatch, name, value, limits):
    monkeypatch.setenv(name, value)
    with pytest.raises(PathscopeError) as refusal:
        settings()
    told = str(refusal.value)
    assert told.startswith(f"{name} is '{value[:60]}") and limits in told
    assert "Set it so, or leave it out for " in told and len(told) < 300


def test_every_bad_value_is_told_at_once(monkeypatch):
    monkeypatch.setenv("PATHSCOPE_WORKERS", "no")
    monkeypatch.setenv("PATHSCOPE_QUEUE", "0")
    with pytest.raises(PathscopeError, match=r"PATHSCOPE_WORKERS is 'no'.*PATHSCOPE_QUEUE is '0'"):
        settings()


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("PATHSCOPE_WORKER", "did you mean PATHSCOPE_WORKERS?"),
        ("pathscope_workers", "did you mean PATHSCOPE_WORKERS?"),
        ("PATHSCOPE_STORE_BYTE", "did you mean PATHSCOPE_STORE_BYTES?"),
        ("PATHSCOPE_ELEPHANT", "known are PATHSCOPE_STORE_DIR, "),
    ],
)
def test_an_unknown_name_is_told_once_and_changes_nothing(monkeypatch, caplog, name, way_out):
    before = settings()
    monkeypatch.setenv(name, f"3 {way_out}")
    with caplog.at_level(logging.WARNING):
        assert settings() == settings() == before
    [told] = caplog.messages
    assert told.startswith(f"{name} is no setting, and changes nothing; ") and way_out in told


def test_known_names_are_not_told(monkeypatch, caplog):
    for name, value in (("PATHSCOPE_WORKERS", "2"), ("PATHSCOPE_CACHE_DIR", "/tmp"), ("PATHSCOPE_GRACE", "")):
        monkeypatch.setenv(name, value)
    assert (settings().workers, settings().store_directory) == (2, Path("/tmp"))
    assert caplog.messages == []


def test_a_store_may_lie_in_the_users_own_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATHSCOPE_STORE_DIR", "~/pathscope")
    assert settings().store_directory == tmp_path / "pathscope"


def test_the_environment_is_looked_at_in_each_call(monkeypatch):
    monkeypatch.setenv("PATHSCOPE_WORKERS", "2")
    assert settings().workers == 2
    monkeypatch.setenv("PATHSCOPE_WORKERS", "3")
    assert settings().workers == 3


def test_readme_holds_the_table_of_all_settings():
    command = [sys.executable, "-m", "analysis.settings"]
    printed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
    assert printed.stdout == settings_table() + "\n"
    assert f"\n\n{settings_table()}\n\n" in (ROOT / "README.md").read_text()
    assert len(settings_table().splitlines()) == 2 + len(Settings.model_fields)


def test_a_setting_out_of_the_table_would_be_noticed():
    for field in Settings.model_fields.values():
        assert str(field.alias).startswith("PATHSCOPE_") and field.description
