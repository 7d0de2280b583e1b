"""Input noise where the answer is a class: accuracy by kind and severity, what it loses, and answers that change (METHODS §4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.metric import Metric, Sentence
from balora_audit.metrics import agreement, mce, relative_drop, severity_area
from balora_audit.metrics.robustness import flips
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.noise.copies import (
    OF_COPIES,
    applicability,
    applicable_kinds,
    filled,
    grid,
    noisiest,
    noisy,
    of_kind,
    realised,
)
from balora_audit.probes.noise.noisy_copies import NoisyCopies
from balora_audit.probes.probe import View
from balora_audit.probes.scores import LabelScores, Scores, scores_of
from balora_audit.slices import ALL, CLEAN, Slice

__all__ = ["ACCURACY", "NOISY_LABELS", "NoisyLabels"]

ACCURACY = Metric(
    name="accuracy",
    title="accuracy",
    unit="share",
    higher_is_better=True,
    meaning="Share of items answered correctly.",
    source="METHODS §4",
    margin=0.02,
    groups=("curve",),
    follows_from_skill=True,
)
ACCURACY_DROP = Metric(
    name="accuracy_drop",
    title="accuracy drop under noise",
    unit="share",
    higher_is_better=False,
    meaning="Accuracy on the clean texts minus the mean accuracy on their noisy copies, same items. A model that is right more often "
    "has more to lose: read it beside the relative drop.",
    source="METHODS §4",
    margin=0.02,
    sentence=Sentence(form="{candidate} lost {size} {word} accuracy than {baseline} under noise", less="less", more="more"),
    groups=("folded",),
    follows_from_skill=True,
)
SEVERITY_AREA = Metric(
    name="severity_area",
    title="area under the severity curve",
    unit="share",
    higher_is_better=True,
    meaning="Mean accuracy over severity, from clean to the highest one measured (trapezoid rule, normalised).",
    source="METHODS §4",
    groups=("by kind",),
    follows_from_skill=True,
)
RELATIVE_DROP = Metric(
    name="relative_drop",
    title="relative drop",
    unit="share",
    higher_is_better=False,
    meaning="Accuracy lost under noise as a share of the clean accuracy.",
    source="PromptBench's performance drop rate; METHODS §4",
    sentence=Sentence(form="{candidate} lost {size} {word} of its clean accuracy than {baseline} under noise", less="less", more="more"),
    groups=("by kind", "folded"),
    follows_from_skill=True,
)
MCE = Metric(
    name="mce",
    title="mean corruption error",
    unit="ratio",
    higher_is_better=False,
    meaning="Errors under noise divided by those of the base model, averaged over kinds of noise; 1 is as bad as the base.",
    source="Hendrycks & Dietterich 2019, arXiv 1903.12261",
    follows_from_skill=True,
)
FLIP_RATE = Metric(
    name="flip_rate",
    title="flip rate",
    unit="share",
    higher_is_better=False,
    meaning="Share of items whose answer changes when noise is added.",
    source="METHODS §4",
    sentence=Sentence(form="{candidate} changed {size} {word} of its answers under noise than {baseline}", less="less", more="more"),
    groups=("folded",),
    follows_from_skill=True,
)
CONSISTENCY = Metric(
    name="consistency",
    title="agreement among noisy copies",
    unit="share",
    higher_is_better=True,
    meaning="Share of pairs of noisy copies of one item that get the same answer, right or wrong.",
    source="METHODS §4",
    groups=("folded",),
    follows_from_skill=True,
)
_BY_SEVERITY = (ACCURACY.name, ACCURACY_DROP.name, RELATIVE_DROP.name, FLIP_RATE.name)
_BY_KIND = (ACCURACY_DROP.name, RELATIVE_DROP.name, SEVERITY_AREA.name, CONSISTENCY.name)


class NoisyLabels(NoisyCopies):
    """Classes answered to noisy copies, for models trained on clean data; the others answer the clean texts only."""

    metrics = (ACCURACY, ACCURACY_DROP, SEVERITY_AREA, RELATIVE_DROP, MCE, FLIP_RATE, CONSISTENCY, *OF_COPIES)
    task = "classification"
    claimed = ACCURACY_DROP

    def slices_of_answers(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return the clean texts, kinds at their severities, kinds, and everything: what each metric is taken over."""
        clean = (CLEAN,) if metric == ACCURACY.name else ()
        if not context.condition.is_clean:
            return clean
        by_severity = tuple(noisy(kind, severity) for kind, severity in grid(context)) if metric in _BY_SEVERITY else ()
        by_kind = tuple(of_kind(kind) for kind in applicable_kinds(context)) if metric in _BY_KIND else ()
        return (*clean, *by_severity, *by_kind, *(() if clean else (ALL,)))

    def views(self, context: Context) -> tuple[View, ...]:
        """Show the noisiest copies of every kind."""
        return tuple(
            View(key=str(noisy(kind, severity)), title=f"Answers under {noisy(kind, severity)}") for kind, severity in noisiest(context)
        )

    def measure(self, context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None, findings: Findings) -> None:
        """Add accuracy by kind and severity, drops, areas, flips and agreement."""
        if context.dataset.task != self.task:
            return
        ids = [example.id for example in context.dataset.test]
        gold = np.array([example.label for example in context.dataset.test])
        findings.rate("accuracy", scores_of(scores, "test", LabelScores).prediction == gold, ids, slice=CLEAN)
        if context.condition.is_clean:
            applicability(context, findings, "accuracy_drop")
            if applicable_kinds(context):
                _input_noise(context, scores, base, findings)
            else:
                findings.missing("accuracy_drop", "no kind of noise applies to any of the texts")


def _answers(context: Context, scores: Mapping[str, Scores], kind: str, severity: int) -> np.ndarray:
    """Return the answer to every noisy copy, (N,)."""
    key = str(noisy(kind, severity))
    found = scores_of(scores, key, LabelScores).prediction if key in scores else None
    return filled(context, kind, severity, scores_of(scores, "test", LabelScores).prediction, found)


def _input_noise(context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None, findings: Findings) -> None:
    ids = [example.id for example in context.dataset.test]
    gold = np.array([example.label for example in context.dataset.test])
    clean = scores_of(scores, "test", LabelScores).prediction
    right = (clean == gold).astype(float)
    severities = context.config.noise.severities
    answers, errors, base_errors = [], [], []
    for kind in applicable_kinds(context):
        answers_SN = []
        for severity in severities:
            slice = noisy(kind, severity)
            answer = _answers(context, scores, kind, severity)
            correct = answer == gold
            findings.rate("accuracy", correct, ids, slice=slice)
            findings.rate("flip_rate", flips(answer, clean), ids, slice=slice)
            findings.mean("accuracy_drop", right - correct, ids, slice=slice)
            _relative(findings, slice, right, correct.astype(float))
            realised(context, findings, kind, severity)
            answers_SN.append(answer)
        noisy_SN = (np.array(answers_SN) == gold).astype(float)
        findings.mean("accuracy_drop", right - noisy_SN.mean(axis=0), ids, slice=of_kind(kind))
        _relative(findings, of_kind(kind), right, noisy_SN.mean(axis=0))
        _area(findings, of_kind(kind), ids, severities, [right, *noisy_SN])
        _agreement(findings, of_kind(kind), ids, np.array(answers_SN))
        answers.append(answers_SN)
        errors.append([1 - float(row.mean()) for row in noisy_SN])
        if base is not None:
            base_errors.append([float(np.mean(_answers(context, base, kind, s) != gold)) for s in severities])
    everything_KSN = np.array(answers)
    noisy_KSN = (everything_KSN == gold).astype(float)
    findings.mean("accuracy_drop", right - noisy_KSN.mean(axis=(0, 1)), ids)
    _relative(findings, ALL, right, noisy_KSN.mean(axis=(0, 1)))
    findings.mean("flip_rate", flips(everything_KSN, clean).mean(axis=(0, 1)), ids)
    _area(findings, ALL, ids, severities, [right, *noisy_KSN.mean(axis=0)])
    _agreement(findings, ALL, ids, everything_KSN.reshape(-1, len(ids)))
    if not base_errors:
        findings.missing("mce", "the base model is not part of this audit")
    elif min(sum(row) for row in base_errors) == 0:
        findings.missing("mce", "the base model makes no error under some kind of noise, so the ratio is undefined")
    else:
        findings.plain("mce", mce(np.array(errors), np.array(base_errors)), len(ids))


def _area(findings: Findings, slice: Slice, ids: list[str], severities: tuple[int, ...], rows: list[np.ndarray]) -> None:
    # The area is linear in the accuracies, so the area of each item's 0/1 curve averages to the area of the curve.
    curve = np.array(rows).T
    findings.mean("severity_area", np.array([severity_area([0, *severities], item) for item in curve]), ids, slice=slice)


def _relative(findings: Findings, slice: Slice, right: np.ndarray, under_noise: np.ndarray) -> None:
    if right.mean() == 0:
        findings.missing("relative_drop", "no clean item is answered correctly", slice=slice)
    else:
        findings.plain("relative_drop", relative_drop(float(right.mean()), float(under_noise.mean())), len(right), slice=slice)


def _agreement(findings: Findings, slice: Slice, ids: list[str], answers_RN: np.ndarray) -> None:
    if len(answers_RN) < 2:
        findings.missing("consistency", "one noisy copy of an item has nothing to agree with", slice=slice)
    else:
        findings.mean("consistency", agreement(answers_RN), ids, slice=slice)


NOISY_LABELS = NoisyLabels()
