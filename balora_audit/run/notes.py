"""What finished units say about themselves, read back from the store and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from balora_audit.errors import StoreError
from balora_audit.run.store import RunStore

__all__ = ["ScoreNote", "ShareNote", "TrainingNote", "failure_note", "first_failure", "score_note", "training_note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareNote:
    """The state after a share of a training: where its files lie and what they hash to, or, without a folder, why there are none."""

    folder: Path | None
    files: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingNote:
    """What training made: what the audit shows of it, where its files lie and what they hash to, its loss curves, its kept shares."""

    cell: Mapping[str, Any]
    folder: Path
    files: Mapping[str, str]
    curves: Mapping[str, list[float | None]]
    shares: Mapping[float, ShareNote] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreNote:
    """What scoring a set met: of which kind it was, and how many texts and responses were too long."""

    kind: str
    truncated: int
    cut: int


def training_note(store: RunStore, key: str) -> TrainingNote:
    """Return what a training unit says; raises `StoreError` where it is damaged."""
    found = store.note(key)
    try:
        cell = {**found["cell"], "notes": tuple(found["cell"]["notes"])}
        folder = store.folder / str(cell["adapter"])
        shares = {float(share): _share(store, said) for share, said in dict(found.get("shares", {})).items()}
        return TrainingNote(cell=cell, folder=folder, files=dict(found["files"]), curves=dict(found["curves"]), shares=shares)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(key, error) from error


def _share(store: RunStore, said: Mapping[str, Any]) -> ShareNote:
    if "reason" in said:
        return ShareNote(folder=None, reason=str(said["reason"]))
    return ShareNote(folder=store.folder / str(said["adapter"]), files=dict(said["files"]))


def score_note(store: RunStore, key: str) -> ScoreNote:
    """Return what a unit of scores says; raises `StoreError` where it is damaged."""
    found = store.note(key)
    try:
        return ScoreNote(kind=str(found["kind"]), truncated=int(found["truncated"]), cut=int(found["cut"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(key, error) from error


def failure_note(store: RunStore, key: str) -> str | None:
    """Return why a unit has nothing in it, where that is what it says; raises `StoreError` where it is damaged."""
    found = store.note(key)
    return str(found.get("reason")) if found.get("kind") == "failed" else None


def first_failure(store: RunStore, keys: Iterable[str]) -> str | None:
    """Return why the first of these units that say so have nothing in them; those that are not there say nothing."""
    return next((reason for key in keys if store.has(key) and (reason := failure_note(store, key)) is not None), None)


def _damaged(key: str, error: Exception) -> StoreError:
    return StoreError(f"the stored unit {key} is damaged ({type(error).__name__}: {error}); delete its folder and run again")
