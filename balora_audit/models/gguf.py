"""GGUF → safetensors, once: the converted folder is kept in the cache and loaded from there afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from balora_audit.errors import ModelError
from balora_audit.files import cache_dir, sha256_of
from balora_audit.models.quiet import without_bars

__all__ = ["convert_gguf"]

_EXPANSION = 9  # a 4-bit block format grows about 7-fold in float32; leave room for the tokenizer and the temporary copy


def convert_gguf(path: Path, *, prefix: str = "gguf", convert: bool = True, say: Callable[[str], None] = lambda _: None) -> Path | None:
    """Return a folder with the float32 safetensors copy of a GGUF file, writing it on first use.

    With ``convert=False``, None where that has still to be done. The folder is named by the content of the file, so another
    file never meets an old copy. It appears whole or not at all: the conversion runs in a temporary folder that is renamed
    at the end.

    Raises
    ------
    ModelError
        Not a GGUF file that transformers can read, or not enough disk.
    """
    with path.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise ModelError(f"{path} is not a GGUF file (its first four bytes are not 'GGUF')")
    models = cache_dir() / "models"
    target = models / f"{prefix}-{sha256_of(path)[:16]}"
    if (target / "config.json").is_file():
        return target
    if not convert:
        return None
    models.mkdir(parents=True, exist_ok=True)
    needed = path.stat().st_size * _EXPANSION
    free = shutil.disk_usage(models).free
    if free < needed:
        raise ModelError(
            f"not enough disk in {models} to convert {path.name}: about {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB "
            "free; free some, or point BALORA_CACHE at a larger disk"
        )
    say(f"converting {path.name} to safetensors (once; kept in {target})")
    temporary = Path(tempfile.mkdtemp(dir=models, prefix=".converting-"))
    try:
        with without_bars():
            _convert(path, temporary)
        temporary.chmod(0o755)
        try:
            temporary.replace(target)
        except OSError:
            if not (target / "config.json").is_file():  # another process may have finished first: its copy is the same
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _convert(path: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**where)
        loaded = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True))
        # A fresh model of the same configuration drops every trace of the quantised loader; the strict load proves that
        # all weights are dense and none is missing.
        dense = type(loaded)(loaded.config)
        dense.load_state_dict(loaded.state_dict(), strict=True)
    except (OSError, ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path.name} cannot be converted by transformers: {error}") from error
    dense.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
