"""Input noise where the answer is a text or a number instead of a class (METHODS §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from balora_audit.metrics import exact_match, find_extractor
from balora_audit.probes.evidence import Context, Findings, ScoreRequest, Scores
from balora_audit.probes.noisy_copies import applicability, applicable_kinds, changed, filled, realised
from balora_audit.probes.requests import answer_scores, number_scores, response_scores, to_write

__all__ = ["on_numbers", "on_responses", "to_be_written", "written"]

Grid = Sequence[tuple[str, int]]


def on_responses(context: Context, scores: Mapping[str, Scores], findings: Findings, grid: Grid) -> None:
    """Add NLL and token accuracy of the reference response, and the rise of the NLL under noise."""
    ids = [example.id for example in context.dataset.test]
    clean = response_scores(scores, "test")
    findings.ratios("response_nll", ids, clean.nll, clean.tokens, slice="clean")
    findings.ratios("token_accuracy", ids, clean.correct_tokens, clean.tokens, slice="clean")
    if not context.condition.is_clean:
        return
    applicability(context, findings, "response_nll_rise")
    rises = []
    for kind, severity in grid:
        slice = f"{kind}@{severity}"
        noisy = response_scores(scores, slice) if slice in scores else None
        nll = filled(context, kind, severity, clean.nll, None if noisy is None else noisy.nll)
        correct = filled(context, kind, severity, clean.correct_tokens, None if noisy is None else noisy.correct_tokens)
        # the reference, and so its tokens, are the same whatever the prompt
        findings.ratios("response_nll", ids, nll, clean.tokens, slice=slice)
        findings.ratios("token_accuracy", ids, correct, clean.tokens, slice=slice)
        findings.ratios("response_nll_rise", ids, nll - clean.nll, clean.tokens, slice=slice)
        realised(context, findings, kind, severity)
        rises.append(nll - clean.nll)
    if rises:
        findings.ratios("response_nll_rise", ids, np.mean(rises, axis=0), clean.tokens)


def on_numbers(context: Context, scores: Mapping[str, Scores], findings: Findings, grid: Grid) -> None:
    """Add the unexplained variance of predicted numbers, and its rise under noise."""
    ids = [example.id for example in context.dataset.test]
    gold = np.array([example.target for example in context.dataset.test], dtype=np.float64)
    spread = float(gold.var())
    if spread == 0:
        findings.missing("unexplained_variance", "all test targets are the same number")
        return
    values = number_scores(scores, "test").value
    clean = (values - gold) ** 2 / spread
    findings.mean("unexplained_variance", clean, ids, slice="clean")
    if not context.condition.is_clean:
        return
    applicability(context, findings, "unexplained_rise")
    rises = []
    for kind, severity in grid:
        slice = f"{kind}@{severity}"
        found = number_scores(scores, slice).value if slice in scores else None
        noisy = (filled(context, kind, severity, values, found) - gold) ** 2 / spread
        findings.mean("unexplained_variance", noisy, ids, slice=slice)
        findings.mean("unexplained_rise", noisy - clean, ids, slice=slice)
        realised(context, findings, kind, severity)
        rises.append(noisy - clean)
    if rises:
        findings.mean("unexplained_rise", np.mean(rises, axis=0), ids)


def to_be_written(context: Context) -> list[ScoreRequest]:
    """Return the requests for written answers: to the clean prompts and, trained on clean data, to the noisiest of each kind."""
    if context.dataset.task != "generation" or context.extractor is None:
        return []
    ids = tuple(example.id for example in context.dataset.test)
    found = [to_write(context, "written:clean", ids, tuple(example.text for example in context.dataset.test))]
    for kind, severity in _noisiest(context):
        changed_ids, noisy = changed(context, kind, severity)
        if changed_ids:
            found.append(to_write(context, f"written:{kind}@{severity}", changed_ids, noisy))
    return found


def written(context: Context, scores: Mapping[str, Scores], findings: Findings) -> None:
    """Add the share of written answers that match the reference, and its drop under noise."""
    if context.extractor is None:
        findings.missing("exact_match", "no answer extractor was named or could be told from the responses", slice="clean")
        return
    extract = find_extractor(context.extractor)
    ids = [example.id for example in context.dataset.test]
    references = [str(example.response) for example in context.dataset.test]
    clean = exact_match(answer_scores(scores, "written:clean").written, references, extract)
    findings.rate("exact_match", clean, ids, slice="clean")
    noisy = []
    for kind, severity in _noisiest(context):
        key = f"written:{kind}@{severity}"
        found = None
        if key in scores:
            some = set(changed(context, kind, severity)[0])
            expected = [reference for item, reference in zip(ids, references, strict=True) if item in some]
            found = exact_match(answer_scores(scores, key).written, expected, extract)
        right = filled(context, kind, severity, clean, found)
        findings.rate("exact_match", right, ids, slice=f"{kind}@{severity}")
        noisy.append(right.astype(float))
    if noisy:
        findings.mean("exact_match_drop", clean.astype(float) - np.mean(noisy, axis=0), ids)


def _noisiest(context: Context) -> list[tuple[str, int]]:
    if not context.condition.is_clean:
        return []
    return [(kind, context.config.noise.severities[-1]) for kind in applicable_kinds(context)]
