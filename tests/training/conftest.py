"""A workshop on the tiny model, and outputs that are plain folders."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from balora_audit.config import AdapterConfig, TrainingConfig
from balora_audit.models.load import HeadSpec
from balora_audit.penalties import REGULARIZERS
from balora_audit.progress import Silent
from balora_audit.training.process_group import ProcessGroup
from balora_audit.training.workshop import Job, Recipe, Workshop

RECIPE = Recipe(
    adapter=AdapterConfig(rank=4, alpha=4.0),
    training=TrainingConfig(epochs=2, batch_size=8, learning_rate=3e-3, checkpoint_steps=2),
    penalties=REGULARIZERS["iclr2026"]["nlg"].model_copy(update={"schedule": "constant", "spectral": 0.05}),
    regularizers="iclr2026",
    head=HeadSpec(),
)


@dataclass(frozen=True)
class Folder:
    """A place in a temporary folder; see `balora_audit.training.workshop.Output`."""

    folder: Path
    skipped: dict[float, str] = field(default_factory=dict)

    @property
    def checkpoints(self):
        return self.folder.with_name(f"{self.folder.name}.partial")

    def write(self, save):
        self.folder.mkdir(parents=True)
        save(self.folder)

    def keep_failed(self, save):
        kept = self.folder.with_name(f"{self.folder.name}.diverged")
        kept.mkdir(parents=True)
        save(kept)
        return kept.name

    def share(self, share):
        return self.folder.with_name(f"{self.folder.name}-share{share}")

    def write_share(self, share, save):
        self.share(share).mkdir(parents=True, exist_ok=True)
        save(self.share(share))

    def skip_share(self, share, reason):
        self.skipped[share] = reason

    def has_share(self, share):
        return share in self.skipped or self.share(share).is_dir()


@pytest.fixture
def open_workshop(tiny, dataset, tmp_path, monkeypatch):
    """Return a function that opens a workshop with a memory of its own."""
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "cache"))

    def make(recipe=RECIPE, *, base=tiny, process_group=ProcessGroup()):  # noqa: B008 - frozen
        return Workshop(base, recipe, dataset, teacher_identity={}, progress=Silent(), process_group=process_group)

    return make


@pytest.fixture
def job(dataset, tmp_path):
    """Return a function that makes a job; 21 rows leave a last batch of 5."""

    def make(name, recipe=None, **changes):
        made = Job(train=dataset.train[:21], seed=0, title=name, output=Folder(tmp_path / name), recipe=recipe)
        return replace(made, **changes)

    return make


@pytest.fixture
def under():
    """Return a function that gives the recipe with other settings of training or adapter."""

    def make(*, adapter=None, **training):
        return replace(
            RECIPE, training=RECIPE.training.model_copy(update=training), adapter=RECIPE.adapter.model_copy(update=adapter or {})
        )

    return make
