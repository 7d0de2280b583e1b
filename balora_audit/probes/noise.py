"""Does the answer survive noise in the input, and did training memorise noise in the labels? (METHODS §4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.metrics import agreement, mce, relative_drop, severity_area
from balora_audit.probes.evidence import Context, Findings, ScoreRequest, Scores
from balora_audit.probes.noise_answers import on_numbers, on_responses, to_be_written, written
from balora_audit.probes.noisy_copies import applicability, applicable_kinds, changed, filled, realised
from balora_audit.probes.requests import label_scores, on_texts, test_set

__all__ = ["NoiseProbe"]


class NoiseProbe:
    """Input noise by kind and severity for models trained on clean data; memorisation for those under label noise."""

    name = "noise"
    summary = "accuracy, flips, agreement and area under input noise; exact match; memorisation of wrong labels under noise:ρ"

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set, its noisy copies (clean condition) and the mislabelled training items.

        A model trained on clean labels answers the items that the audit's other conditions mislabel: the control.
        """
        dataset = context.dataset
        found = [test_set(context)]
        if context.condition.is_clean:
            for kind, severity in _grid(context):
                ids, noisy = changed(context, kind, severity)
                if ids:  # an unchanged copy has the clean text's answer
                    found.append(on_texts(dataset, f"{kind}@{severity}", ids, noisy))
        found += to_be_written(context)
        for key, flips in _flips(context).items():
            chosen = [example for example in context.train if example.id in flips]
            found.append(on_texts(dataset, key, tuple(e.id for e in chosen), tuple(e.text for e in chosen)))
        return found

    def measure(self, context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None) -> Findings:
        """Return accuracy by kind and severity, drops, areas, flips, agreement and memorisation."""
        findings = Findings(context, self.name)
        if context.dataset.task == "generation":
            on_responses(context, scores, findings, _grid(context))
            written(context, scores, findings)
            return findings
        if context.dataset.task == "regression":
            on_numbers(context, scores, findings, _grid(context))
            return findings
        ids = [example.id for example in context.dataset.test]
        gold = np.array([example.label for example in context.dataset.test])
        clean = label_scores(scores, "test").prediction
        findings.rate("accuracy", clean == gold, ids, slice="clean")
        if context.condition.is_clean:
            applicability(context, findings, "accuracy_drop")
            if applicable_kinds(context):
                _input_noise(context, scores, base, findings)
            else:
                findings.missing("accuracy_drop", "no kind of noise applies to any of the texts")
        for key, flips in _flips(context).items():
            _memorisation(context, key, flips, scores, findings)
        return findings


def _grid(context: Context) -> list[tuple[str, int]]:
    return [(kind, severity) for kind in applicable_kinds(context) for severity in context.config.noise.severities]


def _answers(context: Context, scores: Mapping[str, Scores], kind: str, severity: int) -> np.ndarray:
    """Return the answer to every noisy copy, (N,)."""
    slice = f"{kind}@{severity}"
    found = label_scores(scores, slice).prediction if slice in scores else None
    return filled(context, kind, severity, label_scores(scores, "test").prediction, found)


def _flips(context: Context) -> dict[str, Mapping[str, tuple[int, int]]]:
    """Return what to score → training id → (true label, wrong label)."""
    if context.flipped:
        return {"flipped": context.flipped}
    return {f"flips={condition}": flips for condition, flips in context.flipped_elsewhere.items() if flips}


def _input_noise(context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None, findings: Findings) -> None:
    ids = [example.id for example in context.dataset.test]
    gold = np.array([example.label for example in context.dataset.test])
    clean = label_scores(scores, "test").prediction
    right = (clean == gold).astype(float)
    severities = context.config.noise.severities
    answers, errors, base_errors = [], [], []
    for kind in applicable_kinds(context):
        of_kind = []
        for severity in severities:
            slice = f"{kind}@{severity}"
            answer = _answers(context, scores, kind, severity)
            correct = answer == gold
            findings.rate("accuracy", correct, ids, slice=slice)
            findings.rate("flip_rate", answer != clean, ids, slice=slice)
            findings.mean("accuracy_drop", right - correct, ids, slice=slice)
            _relative(findings, slice, right, correct.astype(float))
            realised(context, findings, kind, severity)
            of_kind.append(answer)
        noisy_SN = (np.array(of_kind) == gold).astype(float)
        findings.mean("accuracy_drop", right - noisy_SN.mean(axis=0), ids, slice=kind)
        _relative(findings, kind, right, noisy_SN.mean(axis=0))
        _area(findings, kind, ids, severities, [right, *noisy_SN])
        _agreement(findings, kind, ids, np.array(of_kind))
        answers.append(of_kind)
        errors.append([1 - float(row.mean()) for row in noisy_SN])
        if base is not None:
            base_errors.append([float(np.mean(_answers(context, base, kind, s) != gold)) for s in severities])
    everything_KSN = np.array(answers)
    noisy_KSN = (everything_KSN == gold).astype(float)
    findings.mean("accuracy_drop", right - noisy_KSN.mean(axis=(0, 1)), ids)
    _relative(findings, "all", right, noisy_KSN.mean(axis=(0, 1)))
    findings.mean("flip_rate", (everything_KSN != clean).mean(axis=(0, 1)), ids)
    _area(findings, "all", ids, severities, [right, *noisy_KSN.mean(axis=0)])
    _agreement(findings, "all", ids, everything_KSN.reshape(-1, len(ids)))
    if not base_errors:
        findings.missing("mce", "the base model is not part of this audit")
    elif min(sum(row) for row in base_errors) == 0:
        findings.missing("mce", "the base model makes no error under some kind of noise, so the ratio is undefined")
    else:
        findings.plain("mce", mce(np.array(errors), np.array(base_errors)), len(ids))


def _area(findings: Findings, slice: str, ids: list[str], severities: tuple[int, ...], rows: list[np.ndarray]) -> None:
    # The area is linear in the accuracies, so the area of each item's 0/1 curve averages to the area of the curve.
    curve = np.array(rows).T
    findings.mean("severity_area", np.array([severity_area([0, *severities], item) for item in curve]), ids, slice=slice)


def _relative(findings: Findings, slice: str, right: np.ndarray, noisy: np.ndarray) -> None:
    if right.mean() == 0:
        findings.missing("relative_drop", "no clean item is answered correctly", slice=slice)
    else:
        findings.plain("relative_drop", relative_drop(float(right.mean()), float(noisy.mean())), len(right), slice=slice)


def _agreement(findings: Findings, slice: str, ids: list[str], answers_RN: np.ndarray) -> None:
    if len(answers_RN) < 2:
        findings.missing("consistency", "one noisy copy of an item has nothing to agree with", slice=slice)
    else:
        findings.mean("consistency", agreement(answers_RN), ids, slice=slice)


def _memorisation(
    context: Context, key: str, flips: Mapping[str, tuple[int, int]], scores: Mapping[str, Scores], findings: Findings
) -> None:
    ids = [example.id for example in context.train if example.id in flips]
    pairs = np.array([flips[item] for item in ids]).reshape(-1, 2)
    answer = label_scores(scores, key).prediction
    slice = "all" if key == "flipped" else key
    findings.rate("memorisation", answer == pairs[:, 1], ids, slice=slice)
    findings.rate("recovered_true", answer == pairs[:, 0], ids, slice=slice)
