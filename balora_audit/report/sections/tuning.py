"""How settings were chosen: what was tried, what validation rows said of it, what it cost, and what failed."""

from __future__ import annotations

from collections.abc import Sequence

from balora_audit.records import Tuning, TuningCandidate
from balora_audit.report.blocks import Badge, Block, Details, Estimate, Note, Table, TableCell
from balora_audit.report.numbers import MISSING, digits, isolated
from balora_audit.report.rows import Reader
from balora_audit.report.settings import axis_words, setting_titles, tried, tried_words

__all__ = ["tuning_blocks"]

_CHOSEN = Badge(icon="✓", word="chosen", tone="same")
_FAILED = Badge(icon="!", word="failed", tone="fault")


def tuning_blocks(reader: Reader) -> list[Block]:
    """Return how settings were chosen in a sentence, the choices, and all candidates, folded; nothing where nothing was tuned."""
    tuning = reader.record.tuning
    if tuning is None or not tuning.candidates:
        return []
    groups = _grouped(reader, tuning)
    whole = Table(
        caption="Every candidate: its loss on the validation rows, and what it cost",
        columns=("Model", "Setting", "Validation loss, nats", "Seconds", "", "Reason"),
        align="llrrll",
        rows=tuple(_row(reader, group) for group in groups),
        headers=2,
        notes=(_beneath(reader, groups),),
    )
    return [
        Note(text=_how(tuning)),
        _choices(reader, tuning, groups),
        Details(summary=f"All {len(groups)} candidates with their validation losses", blocks=(whole,)),
    ]


def _grouped(reader: Reader, tuning: Tuning) -> list[list[TuningCandidate]]:
    """Return the candidates of each method and setting, one for each seed, in order of model and values."""
    groups: dict[tuple[str, str], list[TuningCandidate]] = {}
    for candidate in tuning.candidates:
        groups.setdefault((candidate.method, candidate.setting), []).append(candidate)
    return sorted(groups.values(), key=lambda group: (reader.place(group[0].method), tuple(group[0].values.values())))


def _how(tuning: Tuning) -> str:
    """Say how settings were chosen, and that test data never choose."""
    grid = "; ".join(_axis(axis, values, relative=tuning.relative) for axis, values in tuning.axes.items())
    counts = set(tried(tuning).values())
    words = tried_words(tuning) or "one setting"
    told = f"Every tuned method had {words}" if len(counts) == 1 else f"The tuned methods had {words} each"
    size = 1
    for values in tuning.axes.values():
        size *= len(values)
    wider = ", extended for all methods where a best one lay at an end" if counts and max(counts) > size else ""
    return (
        f"{told}, of one grid ({grid}{wider}), and its setting is the one of the smallest loss on {tuning.rows:,} rows that were set aside "
        "from training. Test data never choose. Other conditions and seeds inherit the choice."
    )


def _axis(axis: str, values: Sequence[float], *, relative: bool) -> str:
    listed = ", ".join(f"{value:g}" for value in values)
    if relative and axis == "learning_rate":
        return f"{axis_words(axis)}: {listed} times each method's own"
    return f"{axis_words(axis)}: {listed}"


def _choices(reader: Reader, tuning: Tuning, groups: Sequence[Sequence[TuningCandidate]]) -> Table:
    settings = setting_titles(tuning)
    rows: list[tuple[TableCell, ...]] = []
    for method in dict.fromkeys(group[0].method for group in groups):
        of_method = [group for group in groups if group[0].method == method]
        chosen = next((group for group in of_method if any(found.chosen for found in group)), None)
        failed = sum(any(found.validation is None for found in group) for group in of_method)
        seconds = [found.wall_seconds for group in of_method for found in group if found.wall_seconds is not None]
        choice = tuning.choices.get(method)
        rows.append(
            (
                reader.title(method),
                f"{len(of_method)}, {failed} failed" if failed else str(len(of_method)),
                MISSING if choice is None else settings.get((method, choice)) or isolated(choice),
                MISSING if chosen is None else _loss(chosen),
                f"{sum(seconds):,.1f}" if seconds else MISSING,
            )
        )
    return Table(
        caption="The setting of each method",
        columns=("Model", "Candidates", "Chosen", "Validation loss, nats", "Seconds, all candidates"),
        align="lllrr",
        rows=tuple(rows),
        notes=(_beneath(reader, groups), *tuning.notes),
    )


def _row(reader: Reader, group: Sequence[TuningCandidate]) -> tuple[TableCell, ...]:
    first = group[0]
    settings = setting_titles(reader.record.tuning)
    reasons = dict.fromkeys(found.reason for found in group if found.reason)
    seconds = [found.wall_seconds for found in group if found.wall_seconds is not None]
    mark: TableCell = _CHOSEN if any(found.chosen for found in group) else _FAILED if reasons else MISSING
    return (
        reader.title(first.method),
        settings[first.method, first.setting],
        _loss(group),
        f"{sum(seconds):,.1f}" if seconds else MISSING,
        mark,
        "; ".join(reasons) or MISSING,
    )


def _loss(group: Sequence[TuningCandidate]) -> TableCell:
    """Return the loss with its interval, or the mean over seeds with each seed's; a dash where a seed has none."""
    losses = [found.validation for found in group if found.validation is not None]
    if not losses or len(losses) < len(group):
        return MISSING
    if len(losses) > 1:
        return Estimate(text=digits(sum(losses) / len(losses)), below="seeds " + " · ".join(digits(loss) for loss in losses))
    (found,) = group
    known = found.ci_low is not None and found.ci_high is not None
    return Estimate(text=digits(losses[0]), below=f"{digits(found.ci_low or 0.0)} to {digits(found.ci_high or 0.0)}" if known else None)


def _beneath(reader: Reader, groups: Sequence[Sequence[TuningCandidate]]) -> str:
    if any(len(group) > 1 for group in groups):
        return "Losses are means over seeds, with each seed's own beneath; seconds are of all seeds."
    return f"Beneath a loss: its {reader.level} interval over validation rows."
