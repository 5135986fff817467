"""Loading a model from its files, or saying in a sentence why that is not possible.

A model is loaded through TransformerLens with compatibility mode on, so that LayerNorm is folded
and `W_U` is the direction that logits are read along. It is read from the files of its fingerprint, set
apart from all others; weights come from safetensors files only, and no code that a repository brings
along is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities import get_device
from transformers import AutoModelForCausalLM, AutoTokenizer

from analysis.errors import ModelError, UnsupportedModelError
from analysis.models import files as model_files
from analysis.models.files import ModelFiles
from analysis.models.footprint import bytes_to_load
from analysis.models.growth import check_growth
from analysis.models.reading import clipped, one_line, read_json
from analysis.models.staging import staged

#: Nats by which folding and centring may move a prediction in float32; a misread part moves it by more.
MOST_OFF = 0.01


def load(name: str, files: ModelFiles, make_room: Callable[[int], None]) -> TransformerBridge:
    """The model in `files`, ready to run: evaluation mode, compatibility mode, no gradients on its weights.

    `make_room` is called with the bytes that loading will take before any weight is read; it raises where
    there are none. `name` is what the model is called there. Raises `ModelError`; `UnsupportedModelError`
    where TransformerLens cannot open it, where it is not a causal decoder, and where the bridge's predictions
    are off by more than `MOST_OFF`.
    """
    config = read_json(files.config, name)
    for path in files.tokenizer:
        if path.name == "tokenizer.json":
            check_growth(path, name)
    dtype: torch.dtype = getattr(torch, model_files.compute_dtype(config))
    with staged(files, name) as folder:
        with _told(partial(_could_not_be_loaded, name, config, folder)):
            make_room(bytes_to_load(folder, dtype))
            model, tokenizer, report = _read(folder, dtype)
            _check_whole(name, model, report)
            own = _log_probabilities(lambda tokens: model(tokens).logits, model)
        if own.isnan().any():
            raise ModelError(
                f"{name!r} predicts no finite numbers: its weights are finite, and too large for {dtype}. "
                "Download or save it again."
            )
        with _told(partial(_cannot_be_opened, name, model, folder)):
            bridge = _bridge(name, folder, model, tokenizer)
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


@contextmanager
def _told(sentence: Callable[[BaseException], ModelError]) -> Iterator[None]:
    """Raise `sentence` of what the libraries say of files that do not fit together, whatever they raise."""
    try:
        yield
    except ModelError:
        raise
    except BaseException as error:
        # A panic in a library written in Rust is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise sentence(error) from error


def _could_not_be_loaded(name: str, config: dict[str, Any], folder: Path, error: BaseException) -> ModelError:
    own_code = "auto_map" in config and "trust_remote_code" in str(error)
    reason = "it needs code of its own, which Pathscope never runs"
    if not own_code:
        reason = _first_sentence(error, folder)
    return ModelError(
        f"{name!r} (model type {clipped(config.get('model_type'))}) could not be loaded: {reason}. "
        "Choose another model or mend its files."
    )


def _cannot_be_opened(name: str, model: Any, folder: Path, error: BaseException) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"TransformerLens cannot open {name!r} ({type(model).__name__}) for reading: "
        f"{_first_sentence(error, folder)}. "
        "Decoder-only language models such as GPT-2, Pythia, Llama, Qwen and Gemma 2 work."
    )


def _read(folder: Path, dtype: torch.dtype) -> tuple[Any, Any, dict[str, Any]]:
    """The Hugging Face model and tokenizer in `folder`, and what was found and missed in its weights."""
    # trust_remote_code is refused by name: left out, transformers asks on the server's terminal.
    safely: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(folder, **safely)
    model, report = AutoModelForCausalLM.from_pretrained(
        folder,
        use_safetensors=True,
        dtype=dtype,
        attn_implementation="eager",
        output_loading_info=True,
        **safely,
    )
    return model.to(get_device()).eval(), tokenizer, report


def _check_whole(name: str, model: Any, report: dict[str, Any]) -> None:
    """Raise `ModelError` where a weight of `model` was missing, or is not finite."""
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"{name!r} lacks {len(missing)} weights that its config.json asks for ({clipped(missing[0])} is "
            "the first). Its config and weights belong to different models; download or save it again."
        )
    weights = {key: value for key, value in model.state_dict().items() if value.numel()}
    # The extremes are infinite or NaN where any number is, and need no copy of the weights.
    broken = [
        key
        for key, value in weights.items()
        if value.is_floating_point() and not torch.stack(value.aminmax()).isfinite().all()
    ]
    if broken:
        more = f" and {len(broken) - 3:,} more" if len(broken) > 3 else ""
        raise ModelError(
            f"{name!r} has NaN or infinity in {len(broken):,} of its weights "
            f"({', '.join(broken[:3])}{more}). Its training or its conversion went wrong; save it again."
        )


def _bridge(name: str, folder: Path, model: Any, tokenizer: Any) -> TransformerBridge:
    bridge = TransformerBridge.boot_transformers(
        str(folder),
        hf_model=model,
        tokenizer=tokenizer,
        dtype=model.dtype,
        device=model.device,
    )
    if not hasattr(bridge, "blocks") or bridge.cfg.attention_dir != "causal":
        raise UnsupportedModelError(
            f"{name!r} ({type(model).__name__}) is not a decoder-only language model, and path patching and "
            "logit attribution need causal attention blocks. GPT-2, Pythia, Llama, Qwen and Gemma 2 work."
        )
    bridge.enable_compatibility_mode(disable_warnings=True)
    bridge.eval()
    bridge.requires_grad_(False)
    return bridge


def _first_sentence(error: BaseException, folder: Path) -> str:
    """What `error` says first, without its full stop and the passing `folder`'s own path."""
    text = one_line(str(error).replace(str(folder), "its folder")) or type(error).__name__
    return text.split(". ")[0].rstrip(".")
