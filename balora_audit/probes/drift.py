"""How far did the model move where it was not trained? (METHODS §7)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.probes.evidence import Context, Findings, ScoreRequest, Scores
from balora_audit.probes.requests import label_scores, test_set, text_scores

__all__ = ["DriftProbe"]


class DriftProbe:
    """KL per token and perplexity ratio on held-out general text; test items retained, lost and gained against the base."""

    name = "drift"
    summary = "KL(base ‖ model) per token, perplexity ratio, items retained, lost and gained"

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the general text, and for the test set when its items can be right or wrong."""
        texts = context.dataset.general
        ids = tuple(f"general-{index:04d}" for index in range(len(texts)))
        found = [ScoreRequest(key="general", kind="texts", ids=ids, texts=texts)] if texts else []
        return [*found, test_set(context)] if context.dataset.task == "classification" else found

    def measure(self, context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None) -> Findings:
        """Return the drift measurements."""
        findings = Findings(context, self.name)
        if context.dataset.general:
            found = text_scores(scores, "general")
            ids = [f"general-{index:04d}" for index in range(len(context.dataset.general))]
            findings.ratios("kl_per_token", ids, found.kl, found.tokens)
            findings.ratios("perplexity_ratio", ids, found.nll - found.base_nll, found.tokens, combine="exp")
        else:
            reason = "there is no general text" if context.predicts_words else "a classification head gives no distribution over words"
            findings.missing("kl_per_token", reason)
        if context.dataset.task == "classification":
            self._kept(context, scores, base, findings)
        return findings

    @staticmethod
    def _kept(context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None, findings: Findings) -> None:
        if base is None:
            findings.missing("retained", "the base model is not part of this audit")
            return
        ids = np.array([example.id for example in context.dataset.test])
        gold = np.array([example.label for example in context.dataset.test])
        right = label_scores(scores, "test").prediction == gold
        known = label_scores(base, "test").prediction == gold
        for metric, inside, kept in (("retained", known, right), ("lost", known, ~right), ("gained", ~known, right)):
            if inside.any():
                findings.rate(metric, kept[inside], ids[inside].tolist())
            else:
                findings.missing(metric, f"the base answers {'every' if metric == 'gained' else 'no'} test item correctly")
