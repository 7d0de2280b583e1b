"""Does the answer survive noise in the input, and did training memorise noise in the labels? (METHODS §4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.data.perturbations import PERTURBATIONS, Perturbed, perturb
from balora_audit.metrics import mce, relative_drop, severity_area
from balora_audit.probes.evidence import Context, Findings, ScoreRequest, Scores
from balora_audit.probes.requests import label_scores, number_scores, on_texts, response_scores, test_set

__all__ = ["NoiseProbe"]


class NoiseProbe:
    """Input noise by kind and severity for models trained on clean data; memorisation for those under label noise."""

    name = "noise"
    summary = "accuracy, flips and area under input noise; memorisation of wrong labels under noise:ρ"

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set, its noisy copies (clean condition) and the mislabelled training items (noise:ρ)."""
        dataset = context.dataset
        found = [test_set(dataset)]
        if context.condition.is_clean:
            ids = tuple(example.id for example in dataset.test)
            for kind, severity in self._grid(context):
                noisy = tuple(copy.text for copy in self._copies(context, kind, severity))
                found.append(on_texts(dataset, f"{kind}@{severity}", ids, noisy))
        if context.flipped:
            chosen = [example for example in context.train if example.id in context.flipped]
            found.append(on_texts(dataset, "flipped", tuple(e.id for e in chosen), tuple(e.text for e in chosen)))
        return found

    def measure(self, context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None) -> Findings:
        """Return accuracy by kind and severity, drops, areas, flips and memorisation."""
        findings = Findings(context, self.name)
        if context.dataset.task == "generation":
            self._responses(context, scores, findings)
            return findings
        if context.dataset.task == "regression":
            self._numbers(context, scores, findings)
            return findings
        ids = [example.id for example in context.dataset.test]
        gold = np.array([example.label for example in context.dataset.test])
        clean = label_scores(scores, "test").prediction
        findings.rate("accuracy", clean == gold, ids, slice="clean")
        if context.condition.is_clean:
            self._input_noise(context, scores, base, findings)
        if context.flipped:
            self._memorisation(context, scores, findings)
        return findings

    def _input_noise(self, context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None, findings: Findings) -> None:
        ids = [example.id for example in context.dataset.test]
        gold = np.array([example.label for example in context.dataset.test])
        clean = label_scores(scores, "test").prediction
        right = (clean == gold).astype(float)
        severities = context.config.noise.severities
        noisy_right, flips, errors, base_errors = [], [], [], []
        for kind in context.config.noise.kinds:
            of_kind = []
            for severity in severities:
                slice = f"{kind}@{severity}"
                answer = label_scores(scores, slice).prediction
                correct = answer == gold
                findings.rate("accuracy", correct, ids, slice=slice)
                findings.rate("flip_rate", answer != clean, ids, slice=slice)
                findings.mean("accuracy_drop", right - correct, ids, slice=slice)
                self._relative(findings, slice, right, correct.astype(float))
                self._realised(context, findings, kind, severity)
                of_kind.append(correct.astype(float))
                flips.append((answer != clean).astype(float))
            findings.mean("accuracy_drop", right - np.mean(of_kind, axis=0), ids, slice=kind)
            self._relative(findings, kind, right, np.mean(of_kind, axis=0))
            self._area(findings, kind, ids, severities, [right, *of_kind])
            noisy_right.append(of_kind)
            errors.append([1 - float(np.mean(row)) for row in of_kind])
            if base is not None:
                base_errors.append([float(np.mean(label_scores(base, f"{kind}@{s}").prediction != gold)) for s in severities])
        everything = np.array(noisy_right)  # (kinds, severities, items)
        findings.mean("accuracy_drop", right - everything.mean(axis=(0, 1)), ids)
        self._relative(findings, "all", right, everything.mean(axis=(0, 1)))
        findings.mean("flip_rate", np.mean(flips, axis=0), ids)
        self._area(findings, "all", ids, severities, [right, *everything.mean(axis=0)])
        if not base_errors:
            findings.missing("mce", "the base model is not part of this audit")
        elif min(sum(row) for row in base_errors) == 0:
            findings.missing("mce", "the base model makes no error under some kind of noise, so the ratio is undefined")
        else:
            findings.plain("mce", mce(np.array(errors), np.array(base_errors)), len(ids))

    @staticmethod
    def _area(findings: Findings, slice: str, ids: list[str], severities: tuple[int, ...], rows: list[np.ndarray]) -> None:
        # The area is linear in the accuracies, so the area of each item's 0/1 curve averages to the area of the curve.
        curve = np.array(rows).T
        findings.mean("severity_area", np.array([severity_area([0, *severities], item) for item in curve]), ids, slice=slice)

    @staticmethod
    def _relative(findings: Findings, slice: str, right: np.ndarray, noisy: np.ndarray) -> None:
        if right.mean() == 0:
            findings.missing("relative_drop", "no clean item is answered correctly", slice=slice)
        else:
            findings.plain("relative_drop", relative_drop(float(right.mean()), float(noisy.mean())), len(right), slice=slice)

    def _realised(self, context: Context, findings: Findings, kind: str, severity: int) -> None:
        copies = self._copies(context, kind, severity)
        units = sum(copy.units for copy in copies)
        slice = f"{kind}@{severity}"
        if units == 0:
            findings.missing("realised_rate", "this kind of noise applies to none of the texts", slice=slice)
        else:
            findings.plain("realised_rate", sum(copy.changed for copy in copies) / units, len(copies), slice=slice)

    def _memorisation(self, context: Context, scores: Mapping[str, Scores], findings: Findings) -> None:
        ids = [example.id for example in context.train if example.id in context.flipped]
        pairs = np.array([context.flipped[item] for item in ids]).reshape(-1, 2)
        answer = label_scores(scores, "flipped").prediction
        findings.rate("memorisation", answer == pairs[:, 1], ids)
        findings.rate("recovered_true", answer == pairs[:, 0], ids)

    def _responses(self, context: Context, scores: Mapping[str, Scores], findings: Findings) -> None:
        ids = [example.id for example in context.dataset.test]
        clean = response_scores(scores, "test")
        findings.ratios("response_nll", ids, clean.nll, clean.tokens, slice="clean")
        findings.ratios("token_accuracy", ids, clean.correct_tokens, clean.tokens, slice="clean")
        if not context.condition.is_clean:
            return
        rises = []
        for kind, severity in self._grid(context):
            slice = f"{kind}@{severity}"
            noisy = response_scores(scores, slice)
            findings.ratios("response_nll", ids, noisy.nll, noisy.tokens, slice=slice)
            findings.ratios("token_accuracy", ids, noisy.correct_tokens, noisy.tokens, slice=slice)
            findings.ratios("response_nll_rise", ids, noisy.nll - clean.nll, clean.tokens, slice=slice)
            self._realised(context, findings, kind, severity)
            rises.append(noisy.nll - clean.nll)
        findings.ratios("response_nll_rise", ids, np.mean(rises, axis=0), clean.tokens)

    def _numbers(self, context: Context, scores: Mapping[str, Scores], findings: Findings) -> None:
        ids = [example.id for example in context.dataset.test]
        gold = np.array([example.target for example in context.dataset.test], dtype=np.float64)
        spread = float(gold.var())
        if spread == 0:
            findings.missing("unexplained_variance", "all test targets are the same number")
            return
        clean = (number_scores(scores, "test").value - gold) ** 2 / spread
        findings.mean("unexplained_variance", clean, ids, slice="clean")
        if not context.condition.is_clean:
            return
        rises = []
        for kind, severity in self._grid(context):
            slice = f"{kind}@{severity}"
            noisy = (number_scores(scores, slice).value - gold) ** 2 / spread
            findings.mean("unexplained_variance", noisy, ids, slice=slice)
            findings.mean("unexplained_rise", noisy - clean, ids, slice=slice)
            self._realised(context, findings, kind, severity)
            rises.append(noisy - clean)
        findings.mean("unexplained_rise", np.mean(rises, axis=0), ids)

    @staticmethod
    def _grid(context: Context) -> list[tuple[str, int]]:
        noise = context.config.noise
        return [(kind, severity) for kind in noise.kinds for severity in noise.severities]

    @staticmethod
    def _copies(context: Context, kind: str, severity: int) -> list[Perturbed]:
        assert kind in PERTURBATIONS
        return [
            perturb(
                kind,
                example.text,
                severity=severity,
                seed=context.config.data_seed,
                item_id=example.id,
                protect=context.dataset.label_names,
            )
            for example in context.dataset.test
        ]
