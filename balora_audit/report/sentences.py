"""A comparison in plain English: who did what by how much, with the interval said in the same direction."""

from __future__ import annotations

import re

from balora_audit.metric import Metric, Sentence
from balora_audit.records import Comparison
from balora_audit.report.numbers import condition_title, isolated, magnitude
from balora_audit.report.rows import Reader
from balora_audit.slices import ALL, CLEAN

__all__ = ["claim_sentence", "verdict_sentence"]

_FIELD = re.compile(r"\{(candidate|baseline|title|size|word)\}")


def claim_sentence(reader: Reader, row: Comparison) -> str:
    """Say what was claimed: the candidate is better by more than the margin."""
    metric, slice = reader.metric(row.metric), reader.slice_of(row)
    better = "higher" if row.higher_is_better else "lower"
    text = f"{reader.title(row.candidate)}: {better} {metric.title} than {reader.title(row.baseline)}"
    if slice not in (ALL, CLEAN):
        text += f" on {isolated(slice.title)}"
    if row.margin:
        text += f" by more than {magnitude(row.margin, metric)}"
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
    metric = reader.metric(row.metric)
    candidate, baseline = reader.title(row.candidate), reader.title(row.baseline)
    if row.delta == 0:
        found = f"{candidate} and {baseline} have the same {metric.title}"
    else:
        word = metric.sentence.less if row.delta < 0 else metric.sentence.more
        size = magnitude(row.delta, metric)
        found = _filled(metric.sentence.form, candidate=candidate, baseline=baseline, title=metric.title, word=word, size=size)
    said = [
        _interval(row, metric),
        f"{row.n_seeds} seed{'' if row.n_seeds == 1 else 's'}",
        f"{row.n_items:,} items",
        *([] if row.margin is None else [f"margin {magnitude(row.margin, metric, unit=False)}"]),
        *(["about these checkpoints, not the method"] if row.n_seeds < 3 else []),
    ]
    return f"{found} ({'; '.join(said)})."


def _filled(form: str, **texts: str) -> str:
    """Fill a form in. It may come from anywhere, so that nothing but its known fields is replaced, and braces are only text."""
    return _FIELD.sub(lambda field: texts[field[1]], form)


def _interval(row: Comparison, metric: Metric) -> str:
    """Both ends in the sentence's direction; when they lie on either side of zero, each with its word."""
    if row.ci_low is None or row.ci_high is None or row.delta is None:
        return "no interval"
    low, high = (magnitude(end, metric, unit=False) for end in (row.ci_low, row.ci_high))
    level = f"{100 * row.ci_level:g}\N{NO-BREAK SPACE}% interval"
    if row.delta > 0 and row.ci_low >= 0:
        return f"{level} {low} to {high}"
    if row.delta < 0 and row.ci_high <= 0:
        return f"{level} {high} to {low}"
    return f"{level} {_end(row.ci_low, low, metric.sentence)} to {_end(row.ci_high, high, metric.sentence)}"


def _end(value: float, text: str, words: Sentence) -> str:
    return text if value == 0 else f"{text} {words.less if value < 0 else words.more}"
