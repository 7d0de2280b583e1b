"""Input noise where the answer is a class: accuracy by kind and severity, what it loses, and answers that change (METHODS §4)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from balora_audit.data.conditions import Condition
from balora_audit.data.dataset import AuditDataset
from balora_audit.metric import Metric, Sentence
from balora_audit.metrics import agreement, mce, relative_drop, relative_mce, severity_area
from balora_audit.metrics.robustness import flips
from balora_audit.probes.beside import Beside
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
from balora_audit.probes.skill import ACCURACY
from balora_audit.slices import ALL, Slice
from balora_audit.stats import ItemScores

__all__ = ["NOISY_LABELS", "NoisyLabels"]

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
    skill="follows",
    matched="survival",
)
SEVERITY_AREA = Metric(
    name="severity_area",
    title="area under the severity curve",
    unit="share",
    higher_is_better=True,
    meaning="Mean accuracy over severity, from clean to the highest one measured (trapezoid rule, normalised).",
    source="METHODS §4",
    groups=("by kind",),
    skill="level",
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
    skill="follows",
    matched="survival",
)
MCE = Metric(
    name="mce",
    title="mean corruption error",
    unit="ratio",
    higher_is_better=False,
    meaning="Errors under noise divided by those of the base model, averaged over kinds of noise; 1 is as bad as the base.",
    source="Hendrycks & Dietterich 2019, arXiv 1903.12261",
    skill="level",
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
    skill="follows",
    matched="survival",
)
CONSISTENCY = Metric(
    name="consistency",
    title="agreement among noisy copies",
    unit="share",
    higher_is_better=True,
    meaning="Share of pairs of noisy copies of one item that get the same answer, right or wrong.",
    source="METHODS §4",
    groups=("folded",),
    skill="follows",
    matched="survival",
)
ACCURACY_UNDER_NOISE = Metric(
    name="accuracy_under_noise",
    title="accuracy under noise",
    unit="share",
    higher_is_better=True,
    meaning="Mean accuracy over all noisy copies of the test texts.",
    source="METHODS §4",
    margin=0.02,
    sentence=Sentence(form="{candidate} answered {size} {word} of the noisy copies correctly than {baseline}", less="less", more="more"),
    skill="level",
)
SURVIVAL = Metric(
    name="survival",
    title="survival under noise",
    unit="share",
    higher_is_better=True,
    meaning="Of the items answered correctly on clean text, the share of noisy copies still answered correctly. Between two models, on the "
    "items that both answer correctly.",
    source="METHODS §4",
    margin=0.02,
    sentence=Sentence(
        form="{candidate} kept {size} {word} of its answers under noise than {baseline}, on items that both answer correctly on clean text",
        less="less",
        more="more",
    ),
)
RELATIVE_MCE = Metric(
    name="relative_mce",
    title="relative mean corruption error",
    unit="ratio",
    higher_is_better=False,
    meaning="Errors that noise adds to those on clean text, divided by those that it adds to the base's, averaged over kinds of noise.",
    source="Hendrycks & Dietterich 2019, arXiv 1903.12261",
    skill="follows",
    matched="survival",
)
_BY_SEVERITY = (ACCURACY.name, ACCURACY_DROP.name, RELATIVE_DROP.name, FLIP_RATE.name)
_BY_KIND = (
    ACCURACY_DROP.name, RELATIVE_DROP.name, SEVERITY_AREA.name, CONSISTENCY.name, ACCURACY_UNDER_NOISE.name, SURVIVAL.name,
)  # fmt: skip


class NoisyLabels(NoisyCopies):
    """Classes answered to noisy copies, for models trained on clean data."""

    metrics = (
        ACCURACY, ACCURACY_UNDER_NOISE, SURVIVAL, ACCURACY_DROP, SEVERITY_AREA, RELATIVE_DROP, MCE, RELATIVE_MCE, FLIP_RATE, CONSISTENCY,
        *OF_COPIES,
    )  # fmt: skip
    task = "classification"
    claimed = ACCURACY_UNDER_NOISE

    def headlines(self, dataset: AuditDataset, condition: Condition) -> tuple[str, ...]:
        """Claim the level under noise, and what survives it of what both models know, trained on clean data."""
        return (*super().headlines(dataset, condition), SURVIVAL.name) if super().headlines(dataset, condition) else ()

    def slices_of_answers(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return kinds at their severities, kinds, and everything: what each metric is taken over."""
        if not context.condition.is_clean:
            return ()
        by_severity = tuple(noisy(kind, severity) for kind, severity in grid(context)) if metric in _BY_SEVERITY else ()
        by_kind = tuple(of_kind(kind) for kind in applicable_kinds(context)) if metric in _BY_KIND else ()
        return (*by_severity, *by_kind, *(() if metric == ACCURACY.name else (ALL,)))

    def views(self, context: Context) -> tuple[View, ...]:
        """Show the noisiest copies of every kind."""
        return tuple(
            View(key=str(noisy(kind, severity)), title=f"Answers under {noisy(kind, severity)}") for kind, severity in noisiest(context)
        )

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add accuracy by kind and severity, drops, areas, flips and agreement."""
        if context.dataset.task != self.task or not context.condition.is_clean:
            return
        applicability(context, findings, ACCURACY_UNDER_NOISE.name)
        if applicable_kinds(context):
            _input_noise(context, scores, beside.base, findings)
        else:
            for claimed in (ACCURACY_UNDER_NOISE, SURVIVAL):
                findings.missing(claimed.name, "no kind of noise applies to any of the texts")


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
        _level(findings, of_kind(kind), ids, right, noisy_SN.mean(axis=0))
        _relative(findings, of_kind(kind), right, noisy_SN.mean(axis=0))
        _area(findings, of_kind(kind), ids, severities, [right, *noisy_SN])
        _agreement(findings, of_kind(kind), ids, np.array(answers_SN))
        answers.append(answers_SN)
        errors.append([1 - float(row.mean()) for row in noisy_SN])
        if base is not None:
            base_errors.append([float(np.mean(_answers(context, base, kind, s) != gold)) for s in severities])
    everything_KSN = np.array(answers)
    noisy_KSN = (everything_KSN == gold).astype(float)
    _level(findings, ALL, ids, right, noisy_KSN.mean(axis=(0, 1)))
    _relative(findings, ALL, right, noisy_KSN.mean(axis=(0, 1)))
    findings.mean("flip_rate", flips(everything_KSN, clean).mean(axis=(0, 1)), ids)
    _area(findings, ALL, ids, severities, [right, *noisy_KSN.mean(axis=0)])
    _agreement(findings, ALL, ids, everything_KSN.reshape(-1, len(ids)))
    if base is None:
        for metric in (MCE, RELATIVE_MCE):
            findings.missing(metric.name, "the base model is not part of this audit")
        return
    base_clean_error = float(np.mean(scores_of(base, "test", LabelScores).prediction != gold))
    _corruption_errors(findings, np.array(errors), 1 - float(right.mean()), np.array(base_errors), base_clean_error, len(ids))


def _corruption_errors(
    findings: Findings, errors_KS: np.ndarray, clean: float, base_errors_KS: np.ndarray, base_clean: float, count: int
) -> None:
    for metric, of in (
        (MCE, partial(mce, errors_KS, base_errors_KS)),
        (RELATIVE_MCE, partial(relative_mce, errors_KS, clean, base_errors_KS, base_clean)),
    ):
        try:
            findings.plain(metric.name, of(), count)
        except ValueError as error:  # the base loses nothing under some kind of noise: a ratio to nothing
            findings.missing(metric.name, str(error))


def _level(findings: Findings, slice: Slice, ids: list[str], right_N: np.ndarray, under_noise_N: np.ndarray) -> None:
    """Add accuracy under noise, what is lost of the clean one, and what survives of the items that are right on clean text."""
    findings.mean("accuracy_under_noise", under_noise_N, ids, slice=slice)
    findings.mean("accuracy_drop", right_N - under_noise_N, ids, slice=slice)
    survived = ItemScores(ids=tuple(ids), numerators=(right_N * under_noise_N)[None], denominators=right_N[None], common=True)
    if right_N.any():
        findings.statistic("survival", survived, slice=slice)
    else:
        findings.missing("survival", "no clean item is answered correctly", slice=slice)


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
