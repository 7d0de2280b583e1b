"""A comparison in plain English: who did what by how much, with the interval said in the same direction."""

from __future__ import annotations

import re
from dataclasses import replace

from balora_audit.data.conditions import parse
from balora_audit.errors import ConfigurationError
from balora_audit.metric import Metric, Sentence
from balora_audit.records import AtEqualSkill, Comparison
from balora_audit.report.numbers import condition_title, isolated, magnitude, range_text, value_text
from balora_audit.report.rows import Reader
from balora_audit.report.settings import tried_words
from balora_audit.slices import ALL, CLEAN

__all__ = [
    "claim_sentence",
    "detectable_sentence",
    "equal_skill_sentence",
    "matched_sentence",
    "own_best_sentence",
    "skill_sentence",
    "verdict_sentence",
]

DIRECTIONS = {True: "higher is better", False: "lower is better"}
_OF_BOTH = re.compile(r"\bboth\b")
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
    if row.verdict == "not comparable":
        return _not_compared(reader, row)
    metric = reader.metric(row.metric)
    return f"{_difference(reader, row, row.delta, metric)} ({_basis(reader, row, metric)})."


def equal_skill_sentence(reader: Reader, row: Comparison) -> str:
    """Say what the frontiers of two tuned methods say of a claim; nothing where they did not decide it.

    Examples
    --------
    ``At equal accuracy (60.2 to 76.8 %), BA-LoRA moved 0.031 nats per token further from the base than LoRA on general text (95 %
    interval 0.012 less far to 0.075 further; 1 seed; 48 items; margin 0.020; about these checkpoints, not the method).``
    """
    gap, skill = row.at_equal_skill, reader.skill
    if gap is None:
        return ""
    title = "skill" if skill is None else skill.title
    if gap.delta is None:
        return f"Not compared: {_out_of_reach(reader, row, gap, title)}."
    if gap.ci_low is None or gap.ci_high is None:
        return f"No verdict at equal {title}: {gap.reason or 'the gap has no interval'}."
    metric = _of_each_alone(reader.metric(row.metric))
    reach = "" if skill is None else f" ({range_text(gap.skill_low, gap.skill_high, skill)})"
    return f"At equal {title}{reach}, {_difference(reader, row, gap.delta, metric)} ({_basis(reader, row.deciding, metric)})."


def own_best_sentence(reader: Reader, row: Comparison) -> str:
    """Say how two tuned methods differ where each has its own best setting, with the verdict that would give; nothing of other rows."""
    if row.at_equal_skill is None or row.own_best is None or row.delta is None:
        return ""
    metric = reader.metric(row.metric)
    found = f"{_difference(reader, row, row.delta, metric)} ({_interval(row, metric)}; {row.n_items:,} items)"
    return f"At each one's own best, whatever its {'skill' if reader.skill is None else reader.skill.title}: {found}: {row.own_best}."


def skill_sentence(reader: Reader) -> str:
    """Say how good every model is at its task on the clean test data, beside the references; nothing where it was not measured.

    Examples
    --------
    ``Task: on the clean test texts BA-LoRA answers 85.2 % correctly, LoRA 60.2 %, Base 35.2 % (best possible 92.4 %; bag of words
    51.3 %).``
    """
    metric, condition = reader.skill, "clean"
    found = reader.skill_of(condition)
    if metric is None or not found:
        return ""
    known = [(reader.title(model), s.value) for model, s in zip(reader.models, found, strict=True) if s is not None and s.value is not None]
    known.sort(key=lambda entry: -entry[1] if metric.higher_is_better else entry[1])
    values = [f"{title} {value_text(value, metric)}" for title, value in known]
    tried = tried_words(reader.record.tuning)
    task = f"Task, each tuned method at the best of its {tried} by validation loss" if tried else "Task"
    if metric.name == "accuracy":
        values[0] = f"{known[0][0]} answers {value_text(known[0][1], metric)} correctly"
        told = f"{task}: on the clean test texts {', '.join(values)}"
    else:
        told = f"{task}: {metric.title} on the clean test texts: {', '.join(values)} ({DIRECTIONS[bool(metric.higher_is_better)]})"
    beside = _references(reader, condition, metric)
    return f"{told} ({'; '.join(beside)})." if beside else f"{told}."


def _references(reader: Reader, condition: str, metric: Metric) -> list[str]:
    """Return each reference that has a value, the mean over seeds of those that were trained."""
    values: dict[str, list[float]] = {}
    for row in reader.record.references:
        if row.value is not None and row.metric == metric.name and row.condition in (None, condition):
            bound = " at most" if "upper bound" in row.note else ""
            values.setdefault(f"{isolated(row.title)}{bound}", []).append(row.value)
    return [f"{title} {value_text(sum(found) / len(found), metric)}" for title, found in values.items()]


def matched_sentence(reader: Reader, row: Comparison) -> str:
    """Say what decided a claim where skills are unequal; nothing where it was decided on itself."""
    if row.matched is None or row.matched.delta is None:
        return ""
    metric = reader.metric(row.matched.metric)
    found = _difference(reader, row, row.matched.delta, metric)
    interval = _interval(replace(row, delta=row.matched.delta, ci_low=row.matched.ci_low, ci_high=row.matched.ci_high), metric)
    items = f"{row.matched.n_items:,} items; margin {magnitude(row.matched.margin, metric, unit=False)}"
    return f"Decided at equal skill, since {_skill_gap(reader, row)}: {found} ({interval}; {items})."


def detectable_sentence(reader: Reader, row: Comparison) -> str:
    """Say what an undecided claim could have found; nothing where it is decided or that is not known."""
    if row.verdict != "inconclusive" or row.detectable is None or row.matched is not None:
        return ""
    metric = reader.metric(row.metric)
    where = "" if row.at_equal_skill is None else f" at equal {'skill' if reader.skill is None else reader.skill.title}"
    times = f", {row.detectable / row.margin:.1f} times the margin" if row.margin else ""
    return f"This design finds a difference of about {magnitude(row.detectable, metric)}{where}{times}, with 80\N{NO-BREAK SPACE}% power."


def _not_compared(reader: Reader, row: Comparison) -> str:
    title = reader.metric(row.metric).title
    if row.skill_delta is None:
        return f"Not compared: {title} follows from skill, and skill was not measured of both."
    return f"Not compared: {title} follows from skill or grows with training, and {_skill_gap(reader, row)}."


def _skill_gap(reader: Reader, row: Comparison) -> str:
    """Say which of two models is more skilled, and by how much."""
    metric, delta = reader.skill, row.skill_delta
    if metric is None or delta is None:
        return "their skills are unequal"
    margin = reader.margin(metric)
    beyond = "" if margin is None else f" (margin {magnitude(margin, metric, unit=False)})"
    return f"{_difference(reader, row, delta, metric)}{_trained_on_control(reader, row)}{beyond}"


def _trained_on_control(reader: Reader, row: Comparison) -> str:
    """Say what the models whose skill counts were trained on, where that is not what the claim is about."""
    try:
        control = parse(row.condition).control
    except ConfigurationError:
        return ""
    if control is None or not any(cell.condition == str(control) for cell in reader.record.cells):
        return ""
    return f", both trained on {condition_title(str(control))}"


def _basis(reader: Reader, row: Comparison, metric: Metric) -> str:
    """Say what a difference rests on: its interval, seeds, items and margin, and what it is about where that is less than the method."""
    said = [
        _interval(row, metric),
        *(["no resample differs"] if row.ci_low is not None and row.ci_low == row.ci_high else []),
        f"{row.n_seeds} seed{'' if row.n_seeds == 1 else 's'}",
        f"{row.n_items:,} items",
        *([] if row.margin is None else [f"margin {magnitude(row.margin, metric, unit=False)}"]),
        *_scope(reader, row),
    ]
    return "; ".join(said)


def _out_of_reach(reader: Reader, row: Comparison, gap: AtEqualSkill, skill: str) -> str:
    """Say why two frontiers are not compared, and what skill the candidates of each reach where that is why."""
    if gap.reason is None or "common range" not in gap.reason:
        return gap.reason or f"the two methods' candidates were not compared at equal {skill}"
    reached = []
    for method in (row.candidate, row.baseline):
        points = [p.skill for p in reader.record.frontiers if p.joined and (p.method, p.probe, p.metric) == (method, row.probe, row.metric)]
        if points and reader.skill is not None:
            reached.append(f"{reader.title(method)} {range_text(min(points), max(points), reader.skill)}")
    return f"the two methods' candidates reach no common range of {skill}" + (f" ({', '.join(reached)})" if len(reached) == 2 else "")


def _of_each_alone(metric: Metric) -> Metric:
    """Return a metric whose sentence is true of frontiers: one about items on which *both* models do something is about a direct pair."""
    return replace(metric, sentence=Sentence()) if _OF_BOTH.search(metric.sentence.form) else metric


def _difference(reader: Reader, row: Comparison, delta: float, metric: Metric) -> str:
    """Say a difference between the models of a row in the words of a metric."""
    candidate, baseline = reader.title(row.candidate), reader.title(row.baseline)
    if delta == 0:
        return f"{candidate} and {baseline} have the same {metric.title}"
    word = metric.sentence.less if delta < 0 else metric.sentence.more
    return _filled(
        metric.sentence.form, candidate=candidate, baseline=baseline, title=metric.title, word=word, size=magnitude(delta, metric)
    )


def _scope(reader: Reader, row: Comparison) -> list[str]:
    """Say what a finding is about where that is less than the method."""
    if row.n_seeds < 3:
        return ["about these checkpoints, not the method"]
    return [] if reader.rows_redrawn else ["about these training rows, not the method"]


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
