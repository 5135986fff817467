"""Loading a model from its files, or saying in a sentence why that is not possible.

A model is loaded through TransformerLens with compatibility mode on, so that LayerNorm is folded
and `W_U` is the direction that logits are read along. It is read from the files of its fingerprint, set
apart from all others; weights come from safetensors files only, and no code that a repository brings
along is run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities import get_device
from transformers import AutoModelForCausalLM, AutoTokenizer

from analysis.errors import ModelError, UnsupportedModelError
from analysis.models import files as model_files
from analysis.models.files import ModelFiles
from analysis.models.reading import read_json
from analysis.models.staging import staged

#: What transformers and TransformerLens raise on files that are whole but do not fit together.
_MISFITS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    SafetensorError,
    StrictDataclassError,
    TypeError,
    ValueError,
)


#: Nats by which folding and centring may move a prediction in float32; a misread part moves it by more.
MOST_OFF = 0.01


def load(name: str, files: ModelFiles) -> TransformerBridge:
    """The model in `files`, ready to run: evaluation mode, compatibility mode, no gradients on its weights.

    Raises `ModelError`; `UnsupportedModelError` where TransformerLens cannot open it, where it is not a
    causal decoder, and where the bridge's predictions are off by more than `MOST_OFF`. `name` is what
    the model is called there.
    """
    config = read_json(files.config, name)
    with staged(files, name) as folder:
        model, tokenizer = _read(name, folder, config)
        own = _log_probabilities(lambda tokens: model(tokens).logits, model)
        bridge = _bridge(name, folder, model, tokenizer)
    bridge.eval()
    bridge.requires_grad_(False)
    off = float((_log_probabilities(bridge, model) - own).nan_to_num().abs().max())
    if off > MOST_OFF:
        raise UnsupportedModelError(
            f"TransformerLens opens {name!r} ({type(model).__name__}) as another model: its predictions "
            f"differ by up to {off:.2g} nats from the model's own. Choose a model that it reproduces."
        )
    return bridge


@torch.no_grad()
def _log_probabilities(predict: Callable[[torch.Tensor], torch.Tensor], model: Any) -> torch.Tensor:
    """What follows each of a few tokens, the same ones for every model of this vocabulary."""
    n_tokens = model.config.get_text_config().vocab_size
    tokens = torch.tensor([[n_tokens * part // 5 for part in range(1, 5)]], device=model.device)
    return predict(tokens).log_softmax(-1)


def _read(name: str, folder: Path, config: dict[str, Any]) -> tuple[Any, Any]:
    """The Hugging Face model and tokenizer in `folder`."""
    # trust_remote_code is refused by name: left out, transformers asks on the server's terminal.
    safely: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **safely)
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            use_safetensors=True,
            dtype=getattr(torch, model_files.compute_dtype(config)),
            attn_implementation="eager",
            output_loading_info=True,
            **safely,
        )
        model = model.to(get_device()).eval()
    except _MISFITS as error:
        own_code = "auto_map" in config and "trust_remote_code" in str(error)
        reason = "it needs code of its own, which Pathscope never runs"
        if not own_code:
            reason = _first_sentence(error, folder)
        raise ModelError(
            f"{name!r} (model type {config.get('model_type')!r}) could not be loaded: {reason}. "
            "Choose another model or mend its files."
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"{name!r} lacks {len(missing)} weights that its config.json asks for ({missing[0]} is the "
            "first). Its config and weights belong to different models; download or save it again."
        )
    return model, tokenizer


def _bridge(name: str, folder: Path, model: Any, tokenizer: Any) -> TransformerBridge:
    architecture = type(model).__name__
    try:
        bridge = TransformerBridge.boot_transformers(
            str(folder),
            hf_model=model,
            tokenizer=tokenizer,
            dtype=model.dtype,
            device=model.device,
        )
        causal = hasattr(bridge, "blocks") and bridge.cfg.attention_dir == "causal"
        if causal:
            bridge.enable_compatibility_mode(disable_warnings=True)
    except (*_MISFITS, NotImplementedError) as error:
        raise UnsupportedModelError(
            f"TransformerLens cannot open {name!r} ({architecture}) for reading: "
            f"{_first_sentence(error, folder)}. "
            "Decoder-only language models such as GPT-2, Pythia, Llama, Qwen and Gemma 2 work."
        ) from error
    if not causal:
        raise UnsupportedModelError(
            f"{name!r} ({architecture}) is not a decoder-only language model, and path patching and logit "
            "attribution need causal attention blocks. GPT-2, Pythia, Llama, Qwen and Gemma 2 work."
        )
    return bridge


def _first_sentence(error: BaseException, folder: Path) -> str:
    """What `error` says, on one line, without its closing full stop and the passing `folder`'s own path."""
    text = " ".join(str(error).replace(str(folder), "its folder").split()) or type(error).__name__
    return text.split(". ")[0].rstrip(".")[:300]
