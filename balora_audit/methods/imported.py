"""Adapters that were trained elsewhere: checked against this base, brought into the one form that is audited (METHODS §1)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from balora_audit.errors import ConfigurationError, ModelError
from balora_audit.files import hash_files, write_atomic
from balora_audit.methods.adapter import adapter_changes, loaded
from balora_audit.methods.low_rank import Initialiser
from balora_audit.methods.method import Method
from balora_audit.methods.pissa import principal_factors
from balora_audit.methods.variants import orthonormal_factors
from balora_audit.models.load import LoadedModel
from balora_audit.models.placed import Placed
from balora_audit.training.workshop import Job, Made, Recipe, Workshop

if TYPE_CHECKING:
    from balora_audit.data.conditions import Condition

__all__ = ["Imported", "bring_in"]

_PREFIX = "base_model.model."
_FACTORS = (".lora_A.", ".lora_B.", ".lora_magnitude_vector")
_BEYOND_FACTORS = ("bias", "layer_replication", "trainable_token_indices", "megatron_config", "use_qalora")
_CHANGES_THE_BASE: dict[str, Initialiser] = {"pissa": principal_factors, "olora": orthonormal_factors}


@dataclass(frozen=True, kw_only=True)
class Imported(Method):
    """An adapter from elsewhere; what it was trained on is not known, so it is audited beside clean data only.

    Parameters
    ----------
    folder : Path
        Where it lies.
    """

    folder: Path
    unit: ClassVar[str] = "import"
    trains: ClassVar[bool] = False

    def key(self, recipe: Recipe, rows: Mapping[str, str], seed: int, steps: int | None) -> dict[str, Any]:
        """Return the content of the files, whatever rows and seed the others are trained with."""
        del recipe, rows, seed, steps
        return {"files": hash_files(self.folder)}

    def make(self, workshop: Workshop, job: Job) -> Made:
        """Bring the adapter into the audited form, and see that PEFT loads it and that it changes something."""
        notes: list[str] = []
        job.output.write(lambda folder: notes.extend(bring_in(workshop.base, self.folder, folder)))
        if workshop.process_group.is_main:
            with self.place(workshop.base, job.output.folder):
                pass
        return Made(cell={"notes": notes})

    @contextmanager
    def place(self, base: LoadedModel, folder: Path) -> Iterator[Placed]:
        """Load the adapter."""
        with loaded(base, folder) as disabled:
            yield Placed(base=base, disabled=disabled, changes=lambda: adapter_changes(base.model))

    def applies_to(self, condition: Condition) -> bool:
        """Whether the condition leaves the data as they are."""
        return condition.is_clean

    def check_conditions(self, conditions: Sequence[Condition]) -> None:
        """Raise where there is no clean condition."""
        if not any(condition.is_clean for condition in conditions):
            raise ConfigurationError("an adapter trained elsewhere is measured beside condition clean; add it to --conditions")


def bring_in(base: LoadedModel, source: Path, target: Path) -> list[str]:
    """Copy an adapter into `target` as one that loads on the untouched base; return what there is to say about it.

    An unconverted PiSSA or OLoRA adapter belongs on a base from which its initial pair was subtracted. That pair is
    computed again from this base and becomes a negative branch, so that the rank is doubled and the base stays as it is.

    Raises
    ------
    ModelError
        No LoRA adapter in safetensors, of another base, with numbers that are not finite, or with an initialisation that
        cannot be repeated here.
    """
    settings, tensors = _read(source)
    modules = _match(base, tensors, source)
    notes = []
    named = settings.get("base_model_name_or_path")
    if named:
        notes.append(f"trained elsewhere; its configuration names the base {named!r}, this base has modules of the same shapes")
    start = settings.get("init_lora_weights")
    if isinstance(start, str) and start in _CHANGES_THE_BASE:
        tensors, settings = _anchored(base, modules, settings, tensors, source, _CHANGES_THE_BASE[start])
        notes.append(f"converted from {start}, rank {settings['r'] // 2}, to a plain LoRA adapter of rank {settings['r']}")
    elif isinstance(start, str) and start.split("_")[0] in ("pissa", "corda", "loftq"):
        raise ModelError(
            f"{source} started with {start!r}, which changed the base in a way that cannot be repeated here; convert it where it was "
            "trained: peft_model.save_pretrained(folder, path_initial_model_for_weight_conversion=…)"
        )
    if base.head_name is not None and not any(base.head_name in name for name in tensors):
        raise ModelError(f"{source} has no head ({base.head_name}): it was not trained for classification with modules_to_save")
    from safetensors.torch import save

    write_atomic(target / "adapter_model.safetensors", save({name: tensor.contiguous() for name, tensor in tensors.items()}))
    write_atomic(target / "adapter_config.json", json.dumps(settings, indent=2))
    return notes


def _read(source: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    weights = source / "adapter_model.safetensors"
    if not weights.is_file():
        pickled = (source / "adapter_model.bin").is_file()
        why = "only adapter_model.bin, a pickle, which can run code when loaded" if pickled else "no adapter_model.safetensors"
        raise ModelError(f"{source} has {why}; save it again with save_pretrained(folder, safe_serialization=True)")
    try:
        settings = json.loads((source / "adapter_config.json").read_text(encoding="utf-8"))
        tensors = load_file(weights)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"{source} is damaged or no PEFT adapter: {error}") from error
    if not isinstance(settings, dict) or not isinstance(settings.get("r"), int):
        raise ModelError(f"{source}/adapter_config.json is damaged: it is no object that names a rank r")
    if settings.get("peft_type") != "LORA":
        raise ModelError(f"{source} is an adapter of type {settings.get('peft_type')}; only LoRA and its variants can be audited")
    for name in _BEYOND_FACTORS:
        if settings.get(name) not in (None, [], {}, "none", False):
            raise ModelError(f"{source} changes more than low-rank factors do ({name}: {settings[name]}); that cannot be audited")
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"{source}: {name} has numbers that are not finite")
    return settings, tensors


def _match(base: LoadedModel, tensors: dict[str, Tensor], source: Path) -> dict[str, nn.Linear]:
    modules: dict[str, nn.Linear] = {}
    _drop_copies(base, tensors)
    for name in tensors:
        if not any(part in name for part in (*_FACTORS, *([base.head_name] if base.head_name is not None else []))):
            raise ModelError(f"{source} has weights that are no low-rank factors ({name}); that cannot be audited")
    known = dict(base.model.named_modules())
    for name, tensor in tensors.items():
        if ".lora_A." not in name:
            continue
        module_name = name.removeprefix(_PREFIX).split(".lora_A.")[0]
        module = known.get(module_name)
        b_OR = tensors.get(name.replace(".lora_A.", ".lora_B."))
        if not isinstance(module, nn.Linear) or b_OR is None:
            raise ModelError(f"{source} adapts {module_name}, which this base does not have: it belongs to another base")
        shape, wanted = (b_OR.shape[0], tensor.shape[1]), tuple(module.weight.shape)
        if shape != wanted:
            raise ModelError(f"{source} adapts {module_name} of shape {shape}, here it is {wanted}: it belongs to another base")
        modules[module_name] = module
    if not modules:
        raise ModelError(f"{source} has no low-rank factors")
    return modules


def _drop_copies(base: LoadedModel, tensors: dict[str, Tensor]) -> None:
    """Leave out what PEFT saves of the base itself where an adapter sits on an embedding, if it is this base's."""
    parameters = dict(base.model.named_parameters(remove_duplicate=False))
    for name in [name for name in tensors if ".base_layer." in name]:
        own = parameters.get(name.removeprefix(_PREFIX).replace(".base_layer.", "."))
        if own is not None and own.shape == tensors[name].shape and bool((tensors[name].to(own.dtype) == own.cpu()).all()):
            del tensors[name]


def _anchored(
    base: LoadedModel,
    modules: dict[str, nn.Linear],
    settings: dict[str, Any],
    tensors: dict[str, Tensor],
    source: Path,
    initialise: Initialiser,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if settings.get("rank_pattern") or settings.get("alpha_pattern"):
        raise ModelError(f"{source} has ranks that differ between modules; convert it where it was trained")
    rank = int(settings["r"])
    scaling = float(settings["lora_alpha"]) / (rank**0.5 if settings.get("use_rslora") else rank)
    initial = initialise(modules, rank, scaling, 0)
    converted = dict(tensors)
    for name, (a_RI, b_OR) in initial.items():
        key_a, key_b = f"{_PREFIX}{name}.lora_A.weight", f"{_PREFIX}{name}.lora_B.weight"
        converted[key_a] = torch.cat([tensors[key_a].float(), a_RI])
        converted[key_b] = torch.cat([tensors[key_b].float(), -b_OR], dim=1)
    changed = {"r": 2 * rank, "lora_alpha": scaling * 2 * rank, "use_rslora": False, "init_lora_weights": True}
    return converted, {**settings, **changed}
