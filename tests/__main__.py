"""Every check with one command: ``python3 -m tests``.

Needs Python 3.11 and nothing else: environments with the pinned packages are made on the first
run, and Chromium is installed where the machine allows it. ``--lint`` stops after lint, types and the
order of the rooms; ``--older`` runs the tests on the older TransformerLens alone; ``--quick`` leaves out
those, the browser and the real model; everything else on the command line goes to pytest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real_model import NOT_TO_BE_HAD

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"

#: Options for the tests that the main run leaves out.
APART = "--strict-markers -ra"

#: Two files of tests at a time: tests run with one thread each. In the order of their names, so that the
#: browser's, which wait most, run beside others.
TWO_AT_A_TIME = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")


def main(arguments: list[str]) -> int:
    """Run every leg, the main one last; the status of the first that fails."""
    if sys.version_info < (3, 11):  # noqa: UP036 - an older interpreter may be the one that starts this
        print(f"Pathscope needs Python 3.11 or newer, and this is {sys.version.split()[0]}.")
        return 2
    own = {"--lint", "--older", "--quick"}
    to_pytest = [*TWO_AT_A_TIME, *(argument for argument in arguments if argument not in own)]
    try:
        if "--older" in arguments:
            older = environment(".venv-tests-3.9", TESTS / "compat" / "requirements.txt")
            run(older, "pytest", "-o", f"addopts={APART}", "tests/compat")
            return 0
        python = environment(".venv-tests", TESTS / "requirements.txt")
        lint(python)
        if "--lint" in arguments:
            return 0
        with_browser = "--quick" not in arguments and chromium()
        if "--quick" not in arguments:
            with beside("--older") as finish_older:
                if real_model(python):
                    run(python, "pytest", "-o", f"addopts={APART}", "tests/real_model")
                finish_older()
        run(python, "pytest", *([] if with_browser else ["-m", "not browser"]), *to_pytest)
    except subprocess.CalledProcessError as error:
        return error.returncode or 1
    return 0


def lint(python: Path) -> None:
    """Lint, types and the order of the rooms."""
    run(python, "ruff", "check", "--no-cache", ".")
    run(python, "ruff", "format", "--check", ".")
    run(python, "mypy")
    run(python, "pytest", "-q", "-p", "no:cacheprovider", "tests/test_rooms.py", "-k", "import_downwards")


@contextmanager
def beside(leg: str) -> Iterator[Callable[[], None]]:
    """Run a leg while others run; what is yielded waits for it and prints its output.

    It raises `CalledProcessError` where the leg fails.
    """
    command = [sys.executable, "-m", "tests", leg]
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT) as running,
    ):

        def finish() -> None:
            status = running.wait()
            output.seek(0)
            print(output.read().decode(errors="replace"), end="", flush=True)
            if status:
                raise subprocess.CalledProcessError(status, command)

        yield finish


def environment(name: str, requirements: Path) -> Path:
    """The interpreter of an environment with exactly `requirements`, made anew when they change."""
    directory = ROOT / name
    python = directory / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = directory / "requirements.sha256"
    wanted = digest(requirements)
    if not stamp.exists() or stamp.read_text() != wanted:
        if directory.is_symlink():  # making it anew would empty what somebody else works with
            say(f"{name} is a link to an environment made from other requirements; remove the link first")
            raise subprocess.CalledProcessError(1, name)
        say(f"installing {requirements.relative_to(ROOT)} into {name}")
        venv.create(directory, clear=True, with_pip=True)
        run(python, "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements))
        stamp.write_text(wanted)
    return python


def digest(requirements: Path) -> str:
    """What an environment is made from: the interpreter, the requirements and what they include."""
    texts = [sys.version, requirements.read_text()]
    for line in requirements.read_text().splitlines():
        if line.startswith("-r "):
            texts.append((requirements.parent / line[3:].strip()).read_text())
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def chromium() -> bool:
    """Whether there is a Chromium, after an attempt to install it; without one, CI fails."""
    if shutil.which("chromium"):
        return True
    apt = shutil.which("apt-get")
    prefix = [] if hasattr(os, "geteuid") and os.geteuid() == 0 else ["sudo", "-n"]
    if apt and (not prefix or shutil.which("sudo")):
        say("installing chromium")
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run([*prefix, apt, *command], check=False, stdout=subprocess.DEVNULL)
    if shutil.which("chromium"):
        return True
    if os.environ.get("CI"):
        say("there is no chromium and it cannot be installed: the browser tests cannot run")
        raise subprocess.CalledProcessError(1, "chromium")
    say("no chromium here, so the browser tests are left out (install it to run them)")
    return False


def real_model(python: Path) -> bool:
    """Whether there is a real language model to test with, made if need be; if not, a line has said so."""
    try:
        run(python, "tests.real_model.conversion")
    except subprocess.CalledProcessError as error:
        if error.returncode != NOT_TO_BE_HAD:
            raise
        return False
    return True


def run(python: Path, module: str, *arguments: str) -> None:
    """Run ``python -m module`` in the repository; raises `CalledProcessError` where it fails."""
    say(f"{module} {' '.join(arguments)}".strip())
    subprocess.run([str(python), "-m", module, *arguments], cwd=ROOT, check=True)


def say(what: str) -> None:
    """Announce a step, in order with the output of what it starts."""
    print(f"== {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
