"""Who is failed? Recall by class under imbalance, gaps between groups, counterfactual twins (METHODS §5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import combinations

import numpy as np

from balora_audit.data.dataset import Example
from balora_audit.metrics import prior_shift
from balora_audit.probes.evidence import Context, Findings, ScoreRequest, Scores
from balora_audit.probes.requests import label_scores, on_texts, test_set
from balora_audit.scoring import LabelScores
from balora_audit.stats import ItemScores
from balora_audit.stats.items import Combine

__all__ = ["ImbalanceProbe"]

_SMALL_GROUP = 5
_BETWEEN_GROUPS = ("worst_group_accuracy", "tpr_gap_rms", "equalized_odds_difference", "demographic_parity_difference")


class ImbalanceProbe:
    """Per-class recall with head, medium and tail thirds; group gaps; answers under a swap of the person's gender."""

    name = "imbalance"
    summary = "per-class, tail and worst-class recall; group gaps, equalized odds, demographic parity; counterfactual flips"

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set and its counterfactual twins; nothing under label noise alone or for generation."""
        if context.dataset.task != "classification" or not self._applies(context):
            return []
        found = [test_set(context)]
        twins = self._twins(context)
        if twins:
            texts = tuple(str(example.counterfactual) for example in twins)
            found.append(on_texts(context.dataset, "counterfactual", tuple(e.id for e in twins), texts))
        return found

    def measure(self, context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None) -> Findings:
        """Return class, group and counterfactual measurements."""
        del base
        findings = Findings(context, self.name)
        if context.dataset.task != "classification":
            findings.missing("balanced_accuracy", "the data have no classes")
            return findings
        if self._applies(context):
            test = label_scores(scores, "test")
            self._classes(context, test, findings)
            self._groups(context, test, findings)
            self._counterfactuals(context, scores, test, findings)
        return findings

    @staticmethod
    def _applies(context: Context) -> bool:
        return context.condition.is_clean or context.condition.imbalance is not None or context.condition.correlate is not None

    @staticmethod
    def _twins(context: Context) -> list[Example]:
        return [example for example in context.dataset.test if example.counterfactual is not None]

    def _classes(self, context: Context, test: LabelScores, findings: Findings) -> None:
        names = context.dataset.label_names
        ids = [example.id for example in context.dataset.test]
        gold = np.array([example.label for example in context.dataset.test])
        answer = test.prediction
        of_class_CN = np.stack([gold == index for index in range(len(names))]).astype(float)
        right_CN = of_class_CN * (answer == gold)
        present = [index for index in range(len(names)) if of_class_CN[index].any()]
        for index, name in enumerate(names):
            inside = gold == index
            findings.rate("recall", (answer == gold)[inside], np.array(ids)[inside].tolist(), slice=f"class={name}")

        def combined(metric: str, chosen: list[int], combine: Combine = "mean") -> None:
            if chosen:
                findings.ratios(metric, ids, right_CN[chosen], of_class_CN[chosen], combine=combine)
            else:
                findings.missing(metric, "no class of this kind has test items")

        combined("balanced_accuracy", present)
        combined("worst_class_recall", present, "min")
        combined("g_mean", present, "geometric_mean")
        said_CN = np.stack([answer == index for index in range(len(names))]).astype(float)
        findings.ratios("macro_f1", ids, 2 * right_CN[present], (of_class_CN + said_CN)[present])
        thirds = self._thirds(context, present)
        if thirds is None:
            for metric in ("head_recall", "medium_recall", "tail_recall"):
                findings.missing(metric, "fewer than three classes: there are no thirds")
        else:
            for metric, chosen in zip(("head_recall", "medium_recall", "tail_recall"), thirds, strict=True):
                combined(metric, chosen)
        findings.plain("prior_shift", prior_shift(gold, answer), len(ids))

    @staticmethod
    def _thirds(context: Context, present: list[int]) -> tuple[list[int], list[int], list[int]] | None:
        if len(present) < 3:
            return None
        counts = Counter(example.label for example in context.train)
        ordered = sorted(present, key=lambda index: (-counts[index], index))
        share = max(1, len(ordered) // 3)
        return ordered[:share], ordered[share:-share], ordered[-share:]

    def _groups(self, context: Context, test: LabelScores, findings: Findings) -> None:
        members = [(index, e) for index, e in enumerate(context.dataset.test) if e.group is not None]
        sizes = Counter(str(example.group) for _, example in members)
        if len(sizes) < 2:
            reason = "the test set has no groups" if not sizes else f"the test set has one group only ({next(iter(sizes))})"
            for metric in _BETWEEN_GROUPS:
                findings.missing(metric, reason)
            return
        correct = test.prediction == np.array([example.label for example in context.dataset.test])
        for group in sorted(sizes):
            inside = [index for index, example in members if example.group == group]
            findings.rate("accuracy", correct[inside], [context.dataset.test[i].id for i in inside], slice=f"group={group}")
        large = sorted(group for group, size in sizes.items() if size >= _SMALL_GROUP)
        ids = [example.id for _, example in members]
        right = correct[[index for index, _ in members]]
        of_group_GN = np.array([[example.group == group for _, example in members] for group in large], dtype=float)
        if len(large) < 2:
            for metric in _BETWEEN_GROUPS:
                findings.missing(metric, f"fewer than two groups have at least {_SMALL_GROUP} test items")
            return
        findings.ratios("worst_group_accuracy", ids, of_group_GN * right, of_group_GN, combine="min")
        self._gaps(context, members, right, large, findings)
        self._parity(context, members, test.prediction[[index for index, _ in members]], large, findings)

    def _gaps(self, context: Context, members: list[tuple[int, Example]], right: np.ndarray, groups: list[str], findings: Findings) -> None:
        pair = self._pair(groups)
        if pair is None:
            findings.missing("tpr_gap_rms", f"{len(groups)} groups and no two of them are a gender pair to take a gap between")
            return
        ids = [example.id for _, example in members]
        label = np.array([example.label for _, example in members])
        group = np.array([example.group for _, example in members])
        cells = {(c, g): (label == c) & (group == g) for c in range(len(context.dataset.label_names)) for g in pair}
        both = [c for c in range(len(context.dataset.label_names)) if all(cells[c, g].any() for g in pair)]
        for c in both:
            shares = np.stack([cells[c, g] for g in pair]).astype(float)
            name = f"class={context.dataset.label_names[c]}"
            findings.ratios("tpr_gap", ids, shares * right, shares, combine="difference", slice=name)
        if not both:
            findings.missing("tpr_gap_rms", f"no class has test items of both {pair[0]} and {pair[1]}")
            return
        shares = np.stack([cells[c, g] for g in pair for c in both]).astype(float)
        scores = ItemScores(ids=tuple(ids), numerators=shares * right, denominators=shares, combine="rms_difference")
        findings.statistic("tpr_gap_rms", scores)

    @staticmethod
    def _parity(context: Context, members: list[tuple[int, Example]], answer: np.ndarray, groups: list[str], findings: Findings) -> None:
        """Add the two differences of `balora_audit.metrics.fairness`, in the form that resampling items needs."""
        ids = [example.id for _, example in members]
        label = np.array([example.label for _, example in members])
        group = np.array([example.group for _, example in members])
        first, second = [], []  # rows of (hits, items) whose ratios are compared, pair by pair
        parity: tuple[list[tuple[np.ndarray, np.ndarray]], list[tuple[np.ndarray, np.ndarray]]] = ([], [])
        for c in range(len(context.dataset.label_names)):
            for a, b in combinations(groups, 2):
                for inside in (label == c, label != c):
                    rows = [(inside & (group == g) & (answer == c), inside & (group == g)) for g in (a, b)]
                    if rows[0][1].any() and rows[1][1].any():
                        first.append(rows[0])
                        second.append(rows[1])
                for side, g in zip(parity, (a, b), strict=True):
                    side.append(((group == g) & (answer == c), group == g))
        for metric, pairs in (
            ("equalized_odds_difference", [*first, *second]),
            ("demographic_parity_difference", [*parity[0], *parity[1]]),
        ):
            hits, items = (np.array([row[place] for row in pairs], dtype=float) for place in (0, 1))
            findings.ratios(metric, ids, hits, items, combine="max_difference")

    @staticmethod
    def _pair(groups: list[str]) -> tuple[str, str] | None:
        if "female" in groups and "male" in groups:
            return "female", "male"
        return (groups[0], groups[1]) if len(groups) == 2 else None

    def _counterfactuals(self, context: Context, scores: Mapping[str, Scores], test: LabelScores, findings: Findings) -> None:
        twins = self._twins(context)
        if not twins:
            for metric in ("counterfactual_flip_rate", "counterfactual_shift"):
                findings.missing(metric, "no test item has a counterfactual twin (no identity term to swap)")
            return
        position = {example.id: index for index, example in enumerate(context.dataset.test)}
        rows = [position[example.id] for example in twins]
        swapped = label_scores(scores, "counterfactual")
        gold = np.array([example.label for example in twins])
        flips = swapped.prediction != test.prediction[rows]
        shift = np.abs(swapped.probability[np.arange(len(rows)), gold] - test.probability[rows, gold])
        slices = {"all": np.ones(len(twins), dtype=bool)}
        names = context.dataset.label_names
        slices |= {f"class={names[c]}": gold == c for c in range(len(names)) if (gold == c).any()}
        groups = np.array([example.group or "" for example in twins])
        slices |= {f"group={name}": groups == name for name in sorted(set(groups.tolist()) - {""})}
        for slice, inside in slices.items():
            ids = [example.id for example, chosen in zip(twins, inside, strict=True) if chosen]
            findings.rate("counterfactual_flip_rate", flips[inside], ids, slice=slice)
            findings.mean("counterfactual_shift", shift[inside], ids, slice=slice)
