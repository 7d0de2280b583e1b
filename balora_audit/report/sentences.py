"""A comparison in plain English: who did what by how much, with the interval said in the same direction."""

from __future__ import annotations

from balora_audit.records import Comparison
from balora_audit.report.numbers import condition_title, info, isolated, magnitude
from balora_audit.report.rows import Reader

__all__ = ["claim_sentence", "verdict_sentence"]


def claim_sentence(reader: Reader, row: Comparison) -> str:
    """Say what was claimed: the candidate is better by more than the margin."""
    better = "higher" if row.higher_is_better else "lower"
    text = f"{reader.title(row.candidate)}: {better} {info(row.metric).title} than {reader.title(row.baseline)}"
    if row.slice not in ("all", "clean"):
        text += f" on {isolated(row.slice)}"
    if row.margin:
        text += f" by more than {magnitude(row.margin, row.metric)}"
    return f"{text} ({condition_title(row.condition)})"


def verdict_sentence(reader: Reader, row: Comparison) -> str:
    """Say what was found, with its interval, seeds, items and margin; with few seeds, what it is about.

    Examples
    --------
    ``BA-LoRA lost 3.1 points less accuracy than LoRA under noise (95 % interval 1.2 to 5.0; 1 seed; 400 items; margin
    1.0; about these checkpoints, not the method).``
    """
    if row.delta is None:
        return f"No verdict: {row.reason or 'nothing was measured'}."
    form, less, more = (sentence := info(row.metric).sentence).form, sentence.less, sentence.more
    candidate, baseline, title = reader.title(row.candidate), reader.title(row.baseline), info(row.metric).title
    if row.delta == 0:
        found = f"{candidate} and {baseline} have the same {title}"
    else:
        word = less if row.delta < 0 else more
        found = form.format(candidate=candidate, baseline=baseline, title=title, word=word, size=magnitude(row.delta, row.metric))
    said = [
        _interval(row, less, more),
        f"{row.n_seeds} seed{'' if row.n_seeds == 1 else 's'}",
        f"{row.n_items:,} items",
        *([] if row.margin is None else [f"margin {magnitude(row.margin, row.metric, unit=False)}"]),
        *(["about these checkpoints, not the method"] if row.n_seeds < 3 else []),
    ]
    return f"{found} ({'; '.join(said)})."


def _interval(row: Comparison, less: str, more: str) -> str:
    """Both ends in the sentence's direction; when they lie on either side of zero, each with its word."""
    if row.ci_low is None or row.ci_high is None or row.delta is None:
        return "no interval"
    low, high = (magnitude(end, row.metric, unit=False) for end in (row.ci_low, row.ci_high))
    level = f"{100 * row.ci_level:g}\N{NO-BREAK SPACE}% interval"
    if row.delta > 0 and row.ci_low >= 0:
        return f"{level} {low} to {high}"
    if row.delta < 0 and row.ci_high <= 0:
        return f"{level} {high} to {low}"
    return f"{level} {_end(row.ci_low, low, less, more)} to {_end(row.ci_high, high, less, more)}"


def _end(value: float, text: str, less: str, more: str) -> str:
    return text if value == 0 else f"{text} {less if value < 0 else more}"
