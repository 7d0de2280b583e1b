"""Gaps between groups: worst-group accuracy, true-positive rates, equalized odds, demographic parity (METHODS §5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from balora_audit.metric import Metric, Sentence
from balora_audit.metrics.fairness import (
    classes_of_both,
    demographic_parity_difference_ratios,
    equalized_odds_difference_ratios,
    tpr_gap_null,
    tpr_gap_ratios,
    tpr_gap_rms_ratios,
    tpr_gap_squared,
    worst_group_accuracy_ratios,
)
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.imbalance.scope import applies
from balora_audit.probes.probe import Measure
from balora_audit.probes.requests import test_set
from balora_audit.probes.scores import LabelScores, ScoreRequest, Scores, scores_of
from balora_audit.probes.skill import ACCURACY
from balora_audit.slices import ALL, Slice
from balora_audit.stats import ItemScores, Jackknife

__all__ = ["GROUPS", "Groups"]

_SMALL_GROUP = 5
_SHUFFLES = 500
_PARTS = 20

WORST_GROUP_ACCURACY = Metric(
    name="worst_group_accuracy",
    title="worst-group accuracy",
    unit="share",
    higher_is_better=True,
    meaning="The smallest accuracy of any group.",
    source="Sagawa et al. 2020; METHODS §5",
    groups=("gap",),
    against_base="always",
    skill="level",
)
TPR_GAP = Metric(
    name="tpr_gap",
    title="true-positive-rate gap",
    unit="share",
    higher_is_better=None,
    meaning="Recall of a class in one group minus that in the other.",
    source="De-Arteaga et al. 2019; METHODS §5",
    against_base="always",
    skill="trained",
)
TPR_GAP_RMS = Metric(
    name="tpr_gap_rms",
    title="true-positive-rate gap (RMS)",
    unit="share",
    higher_is_better=False,
    meaning="Root mean square over classes of the difference in recall between the groups.",
    source="De-Arteaga et al. 2019; METHODS §5",
    margin=0.05,
    sentence=Sentence(less="smaller", more="larger"),
    groups=("gap", "over correlation"),
    against_base="always",
    skill="trained",
)
TPR_GAP_NULL = Metric(
    name="tpr_gap_null",
    title="true-positive-rate gap (RMS) of shuffled groups",
    unit="share",
    higher_is_better=None,
    meaning="Root mean square gap that is left when the groups are shuffled within each class, mean over shuffles: what equal groups of "
    "these sizes show by chance.",
    source="METHODS §5",
    groups=("gap",),
)
TPR_GAP_SQUARED = Metric(
    name="tpr_gap_squared",
    title="squared true-positive-rate gap over its noise",
    unit="number",
    higher_is_better=False,
    meaning="Mean square over classes of the difference in recall between the groups, minus the sampling variance of each: 0 on average "
    "where the groups are found alike.",
    source="METHODS §5",
    groups=("gap", "over correlation"),
    against_base="always",
    skill="trained",
)
EQUALIZED_ODDS_DIFFERENCE = Metric(
    name="equalized_odds_difference",
    title="equalized-odds difference",
    unit="share",
    higher_is_better=False,
    meaning="Largest difference between two groups in the true- or false-positive rate of any class.",
    source="Hardt et al. 2016, as in Fairlearn; METHODS §5",
    margin=0.05,
    groups=("gap", "over correlation"),
    against_base="always",
    skill="trained",
)
DEMOGRAPHIC_PARITY_DIFFERENCE = Metric(
    name="demographic_parity_difference",
    title="demographic-parity difference",
    unit="share",
    higher_is_better=False,
    meaning="Largest difference between two groups in how often any class is answered.",
    source="as in Fairlearn; METHODS §5",
    margin=0.05,
    groups=("gap",),
    against_base="always",
    skill="trained",
)
_OF_ALL_ITEMS = (WORST_GROUP_ACCURACY, TPR_GAP_RMS, EQUALIZED_ODDS_DIFFERENCE, DEMOGRAPHIC_PARITY_DIFFERENCE)


class Groups(Measure):
    """Accuracy by group, and differences between the groups that have enough test items."""

    metrics = (
        ACCURACY,
        TPR_GAP,
        TPR_GAP_RMS,
        TPR_GAP_NULL,
        TPR_GAP_SQUARED,
        EQUALIZED_ODDS_DIFFERENCE,
        DEMOGRAPHIC_PARITY_DIFFERENCE,
        WORST_GROUP_ACCURACY,
    )

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set."""
        return [test_set(context)] if applies(context) else []

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return the groups of the accuracy and the classes of the gap; everything else is over all items."""
        if not applies(context):
            return ()
        if metric == ACCURACY.name:
            sizes = _sizes(context)
            return tuple(Slice("group", name) for name in sorted(sizes)) if len(sizes) > 1 else ()
        if metric == TPR_GAP.name:
            pair = _pair(_large(_sizes(context)))
            found = {(example.label, example.group) for example in context.dataset.test}
            names = enumerate(context.dataset.label_names)
            return tuple(Slice("class", name) for label, name in names if pair and all((label, group) in found for group in pair))
        return (ALL,)

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add accuracy by group, the worst group's, and the differences."""
        if not applies(context):
            return
        members = [(index, e) for index, e in enumerate(context.dataset.test) if e.group is not None]
        sizes = _sizes(context)
        if len(sizes) < 2:
            reason = "the test set has no groups" if not sizes else f"the test set has one group only ({next(iter(sizes))})"
            for metric in _OF_ALL_ITEMS:
                findings.missing(metric.name, reason)
            return
        prediction = scores_of(scores, "test", LabelScores).prediction
        correct = prediction == np.array([example.label for example in context.dataset.test])
        for group in sorted(sizes):
            inside = [index for index, example in members if example.group == group]
            findings.rate("accuracy", correct[inside], [context.dataset.test[i].id for i in inside], slice=Slice("group", group))
        large = _large(sizes)
        ids = [example.id for _, example in members]
        label, group_of = np.array([e.label for _, e in members]), np.array([e.group for _, e in members])
        answer = prediction[[index for index, _ in members]]
        if len(large) < 2:
            for metric in _OF_ALL_ITEMS:
                findings.missing(metric.name, f"fewer than two groups have at least {_SMALL_GROUP} test items")
            return
        names = context.dataset.label_names
        findings.statistic("worst_group_accuracy", ItemScores.of(ids, worst_group_accuracy_ratios(label, answer, group_of, groups=large)))
        _gaps(ids, label, answer, group_of, _pair(large), names, findings)
        for difference, of in (
            ("equalized_odds_difference", equalized_odds_difference_ratios),
            ("demographic_parity_difference", demographic_parity_difference_ratios),
        ):
            ratios = of(label, answer, group_of, classes=range(len(names)), groups=large)
            findings.statistic(difference, ItemScores.of(ids, ratios))


def _sizes(context: Context) -> Counter[str]:
    return Counter(example.group for example in context.dataset.test if example.group is not None)


def _large(sizes: Counter[str]) -> list[str]:
    return sorted(group for group, size in sizes.items() if size >= _SMALL_GROUP)


def _gaps(
    ids: list[str],
    label: np.ndarray,
    answer: np.ndarray,
    group: np.ndarray,
    pair: tuple[str, str] | None,
    names: Sequence[str],
    findings: Findings,
) -> None:
    """Add the gap between the recalls of two groups by class, and its root mean square."""
    if pair is None:
        reason = f"{len(set(group.tolist()))} groups and no two of them are a gender pair to take a gap between"
        for metric in (TPR_GAP_RMS, TPR_GAP_SQUARED):
            findings.missing(metric.name, reason)
        return
    both = classes_of_both(label, group, pair)
    for c in both:
        scores = ItemScores.of(ids, tpr_gap_ratios(label, answer, group, of_class=c, pair=pair))
        findings.statistic("tpr_gap", scores, slice=Slice("class", names[c]))
    if both:
        findings.statistic("tpr_gap_rms", ItemScores.of(ids, tpr_gap_rms_ratios(label, answer, group, pair=pair)))
        _over_noise(label, answer, group, pair, findings)
    else:
        findings.missing("tpr_gap_rms", f"no class has test items of both {pair[0]} and {pair[1]}")


def _over_noise(label: np.ndarray, answer: np.ndarray, group: np.ndarray, pair: tuple[str, str], findings: Findings) -> None:
    """Add what chance alone shows, and the squared gap with its sampling variance taken off."""
    shuffled = tpr_gap_null(label, answer, group, pair=pair, permutations=_SHUFFLES, seed=findings.context.config.data_seed)
    findings.plain("tpr_gap_null", float(shuffled.mean()), len(label))
    inside = np.isin(group, pair)
    y, p, of = label[inside], answer[inside], group[inside]
    # dealt within each class and group, so that leaving one part out leaves some of every one
    order = np.lexsort((of, y))
    parts = np.empty(len(y), dtype=np.int64)
    parts[order] = np.arange(len(y)) % min(_PARTS, len(y))
    try:
        left_out = [tpr_gap_squared(y[parts != part], p[parts != part], of[parts != part], pair=pair) for part in range(parts.max() + 1)]
        value = tpr_gap_squared(y, p, of, pair=pair)
    except ValueError as error:  # no class has two items of both groups
        findings.missing("tpr_gap_squared", str(error))
        return
    sizes = np.bincount(parts)
    findings.spectral("tpr_gap_squared", Jackknife(items=len(y), estimate=value, left_out=np.array(left_out), sizes=sizes, within=(-1, 1)))


def _pair(groups: list[str]) -> tuple[str, str] | None:
    if "female" in groups and "male" in groups:
        return "female", "male"
    return (groups[0], groups[1]) if len(groups) == 2 else None


GROUPS = Groups()
