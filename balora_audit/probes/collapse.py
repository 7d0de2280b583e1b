"""Do the representations use fewer directions than the base's? Spectra, geometry, layers, weights (METHODS §6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from balora_audit.metrics import (
    OF_SINGULAR_VALUES,
    anisotropy,
    iso_score_of,
    knn_correct,
    leave_group_out_singular_values,
    linear_cka,
    nc1,
    principal_angles,
    silhouettes,
    singular_values,
)
from balora_audit.probes.evidence import Context, Findings, ScoreRequest, Scores
from balora_audit.probes.requests import test_set
from balora_audit.scoring import LabelScores, NumberScores, ResponseScores, WeightScores
from balora_audit.stats import Jackknife

__all__ = ["CollapseProbe", "features"]

_GROUPS = 40
_FEW_GROUPS = 10
"""For measures that decompose with vectors each time."""

_RANGE = {"iso_score": (0.0, 1.0), "power_law_alpha": (-math.inf, math.inf)}
_OF_SPECTRUM = (*OF_SINGULAR_VALUES, "iso_score")
_TO_BASE = ("cka_to_base", "principal_angle_to_base")
_OF_WEIGHTS = ("weight_change", "weight_change_rank", "intruder_dimensions")


class CollapseProbe:
    """Measures of the hidden states at the last prompt token, same items for every model, and of the weight change."""

    name = "collapse"
    summary = "singular spectra, effective rank, isotropy, CKA and angles to base, class geometry, ΔW, intruder dimensions, t-SNE"

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set's features, and for an analysis of changed weights."""
        settings = context.config.collapse
        found = [test_set(context)]
        if not context.is_base:
            examined = (("modules", settings.intruder_modules), ("vectors", settings.intruder_vectors))
            found.append(ScoreRequest(key="weights", kind="weights", ids=(), texts=(), settings=examined))
        return found

    def measure(self, context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None) -> Findings:
        """Return the metrics with delete-group jackknife intervals, and the spectra to be drawn."""
        findings = Findings(context, self.name)
        _features(context, features(scores), None if base is None else features(base), findings, "all")
        for place, layer in enumerate(context.layers):
            other = None if base is None else _of_layer(base, place)
            _features(context, _of_layer(scores, place), other, findings, f"layer={layer}")
        found = scores.get("weights")
        if isinstance(found, WeightScores):
            _weights(context, found, findings)
        return findings


def features(scores: Mapping[str, Scores]) -> np.ndarray:
    """Return the test set's features, (N, F) float32; the metrics compute in float64."""
    found = scores["test"]
    if not isinstance(found, LabelScores | NumberScores | ResponseScores) or found.features is None:
        raise TypeError("the test set was scored without features")
    return np.asarray(found.features)


def _of_layer(scores: Mapping[str, Scores], place: int) -> np.ndarray:
    found = scores["test"]
    if not isinstance(found, LabelScores | NumberScores | ResponseScores) or found.layer_features is None:
        raise TypeError("the test set was scored without features of its layers")
    return np.asarray(found.layer_features[:, place])


def _features(context: Context, x_NF: np.ndarray, base_NF: np.ndarray | None, findings: Findings, slice: str) -> None:
    if not np.ptp(x_NF, axis=0).any():
        for metric in (*_OF_SPECTRUM, "anisotropy", *_TO_BASE, "nc1", "silhouette", "knn_accuracy"):
            findings.missing(metric, "all features are the same: rank 0", slice=slice)
        return
    groups = _deal(len(x_NF), _GROUPS)
    _spectrum(x_NF, groups, findings, slice)
    if np.linalg.norm(x_NF, axis=1).all():
        findings.spectral("anisotropy", _jackknife(anisotropy, [x_NF], groups, (-1, 1)), slice=slice)
    else:
        findings.missing("anisotropy", "an item's features are all zero: its direction is undefined", slice=slice)
    _against_base(context, x_NF, base_NF, findings, slice)
    _geometry(context, x_NF, findings, slice)


def _spectrum(x_NF: np.ndarray, groups: np.ndarray, findings: Findings, slice: str) -> None:
    whole, left_out = singular_values(x_NF), leave_group_out_singular_values(x_NF, groups)
    measures: dict[str, Callable[[np.ndarray], float]] = {
        **OF_SINGULAR_VALUES,
        "iso_score": lambda sigma: iso_score_of(sigma, x_NF.shape[1]),
    }
    for metric, of in measures.items():
        try:
            found = Jackknife(
                items=len(x_NF),
                estimate=of(whole),
                left_out=np.array([of(sigma) for sigma in left_out]),
                within=_RANGE.get(metric, (0, math.inf)),
            )
        except ValueError as error:  # such as a power law through one eigenvalue
            findings.missing(metric, str(error), slice=slice)
        else:
            findings.spectral(metric, found, slice=slice)
    if slice == "all":
        p = whole / whole.sum()
        findings.draw("spectrum", index=list(range(1, len(p) + 1)), sigma_normalised=[float(value) for value in p])


def _against_base(context: Context, x_NF: np.ndarray, base_NF: np.ndarray | None, findings: Findings, slice: str) -> None:
    if base_NF is None or not np.ptp(base_NF, axis=0).any():
        reason = "the base model is not part of this audit" if base_NF is None else "the base's features are all the same"
        for metric in _TO_BASE:
            findings.missing(metric, reason, slice=slice)
        return
    findings.spectral("cka_to_base", _jackknife(linear_cka, [x_NF, base_NF], _deal(len(x_NF), _GROUPS), (0, 1)), slice=slice)
    groups = _deal(len(x_NF), _FEW_GROUPS)
    k = min(context.config.collapse.subspace, *(int(np.count_nonzero(singular_values(side))) for side in (x_NF, base_NF)))
    if k > (len(x_NF) - np.bincount(groups).max()) - 1:
        findings.missing("principal_angle_to_base", f"{len(x_NF)} items are too few for subspaces of {k} dimensions", slice=slice)
        return
    # equal subspaces give 1e-16, which is 0
    found = _jackknife(lambda x, y: round(float(principal_angles(x, y, k).mean()), 12), [x_NF, base_NF], groups, (0, math.pi / 2))
    findings.spectral("principal_angle_to_base", found, slice=slice)
    if slice == "all":
        angles = principal_angles(x_NF, base_NF, k)
        findings.draw("principal_angles", index=list(range(1, k + 1)), radians=[float(value) for value in angles])


def _geometry(context: Context, x_NF: np.ndarray, findings: Findings, slice: str) -> None:
    labels = np.array([example.label if example.label is not None else -1 for example in context.dataset.test])
    ids = [example.id for example in context.dataset.test]
    reason = None
    if context.dataset.task != "classification":
        reason = "the data have no classes"
    elif len(set(labels.tolist())) < 2:
        reason = "the test set has one class only"
    elif len(set(labels.tolist())) == len(labels):
        reason = "every class has a single test item"
    if reason is not None:
        for metric in ("nc1", "silhouette", "knn_accuracy"):
            findings.missing(metric, reason, slice=slice)
        return
    try:
        findings.plain("nc1", nc1(x_NF, labels), len(x_NF), slice=slice)
    except ValueError as error:
        findings.missing("nc1", str(error), slice=slice)
    findings.plain("silhouette", float(silhouettes(x_NF, labels).mean()), len(x_NF), slice=slice)
    k = context.config.collapse.neighbours
    if k < len(x_NF):
        findings.rate("knn_accuracy", knn_correct(x_NF, labels, k), ids, slice=slice)
    else:
        findings.missing("knn_accuracy", f"{len(x_NF)} items are too few for {k} neighbours", slice=slice)


def _weights(context: Context, found: WeightScores, findings: Findings) -> None:
    """Add means over modules; modules are no sample, so these have no interval."""
    if not found.names:
        for metric in _OF_WEIGHTS:
            findings.missing(metric, "no linear module was changed")
        return
    # in an encoder many modules are called dense; the part before tells them apart
    kinds = np.array([".".join(name.split(".")[-2:]) if name.endswith(".dense") else name.rpartition(".")[2] for name in found.names])
    moved = found.change_norm > 0
    ranks = np.array([OF_SINGULAR_VALUES["effective_rank"](sigma) if sigma[0] > 0 else 0.0 for sigma in found.change_sigma])
    intruders = (found.likeness < context.config.collapse.intruder_cosine).sum(axis=1)
    slices = {"all": np.ones(len(kinds), dtype=bool), **{f"module={kind}": kinds == kind for kind in dict.fromkeys(kinds.tolist())}}
    for slice, inside in slices.items():
        count = int(inside.sum())
        findings.plain("weight_change", float((found.change_norm / found.norm)[inside].mean()), count, slice=slice, of_items=False)
        if (inside & moved).any():
            findings.plain(
                "weight_change_rank", float(ranks[inside & moved].mean()), int((inside & moved).sum()), slice=slice, of_items=False
            )
        else:
            findings.missing("weight_change_rank", "these modules did not change", slice=slice)
        chosen = inside[found.examined]
        if chosen.any():
            findings.plain("intruder_dimensions", float(intruders[chosen].mean()), int(chosen.sum()), slice=slice, of_items=False)
        elif slice == "all":
            findings.missing("intruder_dimensions", "collapse.intruder_modules is 0", slice=slice)
    shares = found.change_sigma[moved] / found.change_sigma[moved].sum(axis=1, keepdims=True)
    if len(shares):
        mean = shares.mean(axis=0)
        findings.draw("delta_spectrum", index=list(range(1, len(mean) + 1)), sigma_normalised=[float(value) for value in mean])


def _deal(count: int, groups: int) -> np.ndarray:
    return np.arange(count) % min(count, groups)


def _jackknife(
    function: Callable[..., float], matrices: Sequence[np.ndarray], groups: np.ndarray, within: tuple[float, float]
) -> Jackknife:
    left_out = [float(function(*(matrix[groups != group] for matrix in matrices))) for group in range(int(groups.max()) + 1)]
    return Jackknife(items=len(groups), estimate=float(function(*matrices)), left_out=np.array(left_out), within=within)
