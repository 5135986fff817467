"""What may be set: limits and locations, each with the variable of the environment that sets it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypeVar

from platformdirs import user_cache_dir
from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field

_KIB, _GIB, _DAY = 1024, 1024**3, 24 * 60 * 60

#: A part of a Hugging Face id.
_WORD = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"


P = TypeVar("P", Path, Path | None)


def _at_home(path: P) -> P:
    """`path` with "~" as the user's own directory: not every place that sets variables puts it there."""
    return path and Path(os.path.expanduser(path))


def _listed(item: str) -> str:
    """The pattern of any number of `item` with commas between them."""
    return rf"^({item}(\s*,\s*{item})*)?$"


class Settings(BaseModel):
    """What the environment says, checked; every size is in bytes, every time in seconds.

    The alias of a field is its variable, the description what README says of it.
    """

    model_config = ConfigDict(frozen=True)

    store_directory: Annotated[Path, AfterValidator(_at_home)] = Field(
        default_factory=lambda: Path(user_cache_dir("pathscope")),
        alias="PATHSCOPE_STORE_DIR",
        description="Where the store lies",
    )
    store_bytes: ByteSize = Field(
        ByteSize(4 * _GIB),
        ge=0,
        le=1024**5,
        alias="PATHSCOPE_STORE_BYTES",
        description="How much the store may hold",
    )
    sweep_bytes: ByteSize = Field(
        ByteSize(_GIB),
        ge=_KIB,
        le=1024 * _GIB,
        alias="PATHSCOPE_SWEEP_BYTES",
        description="Memory that one sweep may use beyond the model",
    )
    prompt_tokens: int = Field(
        1024,
        ge=1,
        le=100_000,
        alias="PATHSCOPE_PROMPT_TOKENS",
        description="Tokens that a prompt may have; characters, ten times as many",
    )
    prompt_bytes: ByteSize = Field(
        ByteSize(4 * _GIB),
        ge=_KIB,
        le=1024 * _GIB,
        alias="PATHSCOPE_PROMPT_BYTES",
        description="Memory that one prompt may take beyond the model, by an estimate",
    )
    run_bytes: ByteSize = Field(
        ByteSize(_GIB // 8),
        ge=0,
        le=1024 * _GIB,
        alias="PATHSCOPE_RUN_BYTES",
        description="Memory that the activations of the latest prompts may keep, for the next question",
    )
    models_loaded: int = Field(
        2,
        ge=1,
        le=64,
        alias="PATHSCOPE_MODELS",
        description="How many models stay loaded; the least recently used leaves",
    )
    memory_bytes: ByteSize = Field(
        ByteSize(0),
        ge=0,
        le=1024**5,
        alias="PATHSCOPE_MEMORY_BYTES",
        description="Memory that the process may hold, pages of files apart: what does not fit is refused; "
        "0B, what is free",
    )
    load_seconds: float = Field(
        600.0,
        ge=0.1,
        le=_DAY,
        allow_inf_nan=False,
        alias="PATHSCOPE_LOAD_SECONDS",
        description="Seconds after which a model that is still being loaded is not waited for",
    )
    download_bytes: ByteSize = Field(
        ByteSize(16 * _GIB),
        ge=0,
        le=1024**5,
        alias="PATHSCOPE_DOWNLOAD_BYTES",
        description="How large a model may be that is fetched from the Hugging Face Hub",
    )
    download_seconds: float = Field(
        3600.0,
        ge=1,
        le=_DAY,
        allow_inf_nan=False,
        alias="PATHSCOPE_DOWNLOAD_SECONDS",
        description="Seconds that fetching a model may take",
    )
    hub_token: int = Field(
        0,
        ge=0,
        le=1,
        alias="PATHSCOPE_HUB_TOKEN",
        description="1: the login of this machine is sent to the Hub for whatever model is asked for",
    )
    workers: int = Field(
        1, ge=1, le=64, alias="PATHSCOPE_WORKERS", description="Sweeps and searches that run at once"
    )
    queue_length: int = Field(
        16, ge=1, le=1000, alias="PATHSCOPE_QUEUE", description="Sweeps and searches that may wait"
    )
    grace_seconds: float = Field(
        -1.0,
        ge=-1,
        le=7 * _DAY,
        allow_inf_nan=False,
        alias="PATHSCOPE_GRACE",
        description="Seconds that a sweep or search goes on after its last watcher left; below 0, to its end",
    )
    cluster: str = Field(
        "",
        pattern=r"^((tcp|tls|ucx)://(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5})?$",
        alias="PATHSCOPE_CLUSTER",
        examples=["tcp://scheduler:8786"],
        description="The scheduler of the Dask cluster whose workers compute, in place of this process",
    )
    cluster_threads: int = Field(
        1,
        ge=1,
        le=1024,
        alias="PATHSCOPE_CLUSTER_THREADS",
        description="Threads by which a worker of the cluster computes one piece",
    )
    cluster_resources: str = Field(
        "",
        pattern=_listed(r"[A-Za-z][A-Za-z0-9_-]*=[0-9]+(\.[0-9]+)?"),
        alias="PATHSCOPE_CLUSTER_RESOURCES",
        examples=["GPU=1"],
        description="What one piece takes of a worker's resources, as that worker was started with them",
    )
    hosted: int = Field(
        0,
        ge=0,
        le=1,
        alias="PATHSCOPE_HOSTED",
        description="1: strangers are served, by the policy that `python -m analysis.host check` tells",
    )
    hosted_models: str = Field(
        "",
        pattern=_listed(rf"{_WORD}(/{_WORD})?"),
        alias="PATHSCOPE_HOSTED_MODELS",
        description="Hugging Face ids of the models that strangers may use beside the bundled ones",
    )
    hosted_names: str = Field(
        "",
        pattern=_listed(r"[\w.:*\[\]-]+"),
        alias="PATHSCOPE_HOSTED_NAMES",
        description="Names under which strangers reach the server; none: as `server.allowedHosts` has it",
    )
    hosted_requests: int = Field(
        1200,
        ge=60,
        le=100_000,
        alias="PATHSCOPE_HOSTED_REQUESTS",
        description="Requests that one address may make in a minute; opening a page takes about 100",
    )
    trusted_header: str = Field(
        "",
        pattern=r"^[A-Za-z0-9-]{0,64}$",
        alias="PATHSCOPE_TRUSTED_HEADER",
        description="The header in which the proxy before the server tells a visitor's address",
    )
    gallery_directory: Annotated[Path | None, AfterValidator(_at_home)] = Field(
        None,
        alias="PATHSCOPE_GALLERY_DIR",
        description="Where results lie that came with the deployment; they are only read",
    )
    embed: int = Field(
        0,
        ge=0,
        le=1,
        alias="PATHSCOPE_EMBED",
        description="1: other sites may show a hosted server within their own pages",
    )

    @property
    def largest_entry_share(self) -> float:
        """A value above this share of `store_bytes` is shown but not stored."""
        return 0.25

    @property
    def replay_tolerance(self) -> float:
        """How far a replayed logit may be off, as a share of the spread of its row's ordinary logits."""
        return 1e-4
