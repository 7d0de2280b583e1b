"""Input noise where the model writes its answer: exact match after an extractor (METHODS §4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from balora_audit.metric import Metric
from balora_audit.metrics import exact_match, find_extractor
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.noise.copies import changed, filled, noisiest, noisy, repeats
from balora_audit.probes.probe import Measure, Repeat
from balora_audit.probes.requests import to_write
from balora_audit.probes.scores import AnswerScores, ScoreRequest, Scores, scores_of
from balora_audit.slices import ALL, CLEAN, Slice

__all__ = ["WRITTEN_ANSWERS", "WrittenAnswers"]

EXACT_MATCH = Metric(
    name="exact_match",
    title="exact match",
    unit="share",
    higher_is_better=True,
    meaning="Share of items whose written answer, extracted, is the reference answer.",
    source="METHODS §4",
    margin=0.02,
    groups=("curve",),
    skill="level",
)
EXACT_MATCH_DROP = Metric(
    name="exact_match_drop",
    title="exact-match drop under noise",
    unit="share",
    higher_is_better=False,
    meaning="Exact match on the clean prompts minus that on their noisy copies, same items.",
    source="METHODS §4",
    margin=0.02,
    skill="follows",
)


class WrittenAnswers(Measure):
    """Answers that the model writes to the clean prompts and, trained on clean data, to the noisiest copies of each kind."""

    metrics = (EXACT_MATCH, EXACT_MATCH_DROP)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for answers where it is known how to read them."""
        if context.dataset.task != "generation" or context.extractor is None:
            return []
        ids = tuple(example.id for example in context.dataset.test)
        found = [to_write(context, "written:clean", ids, tuple(example.text for example in context.dataset.test))]
        for kind, severity in noisiest(context):
            changed_ids, texts = changed(context, kind, severity)
            if changed_ids:
                found.append(to_write(context, f"written:{noisy(kind, severity)}", changed_ids, texts))
        return found

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return the clean prompts and the noisiest copies; the drop is taken over all of these."""
        if context.dataset.task != "generation" or context.extractor is None:
            return ()
        by_kind = tuple(noisy(kind, severity) for kind, severity in noisiest(context))
        if metric == EXACT_MATCH.name:
            return (CLEAN, *by_kind)
        return (ALL,) if by_kind else ()

    def repeats(self, context: Context) -> Iterator[Repeat]:
        """Give copies that are the text itself the answer to the clean text."""
        yield from repeats(context, noisiest(context), source="written:clean", prefix="written:") if context.extractor is not None else ()

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add the share of written answers that match the reference, and its drop under noise."""
        if context.dataset.task != "generation":
            return
        if context.extractor is None:
            findings.missing("exact_match", "no answer extractor was named or could be told from the responses", slice=CLEAN)
            return
        extract = find_extractor(context.extractor)
        ids = [example.id for example in context.dataset.test]
        references = [str(example.response) for example in context.dataset.test]
        clean = exact_match(scores_of(scores, "written:clean", AnswerScores).written, references, extract)
        findings.rate("exact_match", clean, ids, slice=CLEAN)
        under_noise = []
        for kind, severity in noisiest(context):
            key = f"written:{noisy(kind, severity)}"
            copies = None
            if key in scores:
                some = set(changed(context, kind, severity)[0])
                expected = [reference for item, reference in zip(ids, references, strict=True) if item in some]
                copies = exact_match(scores_of(scores, key, AnswerScores).written, expected, extract)
            right = filled(context, kind, severity, clean, copies)
            findings.rate("exact_match", right, ids, slice=noisy(kind, severity))
            under_noise.append(right.astype(float))
        if under_noise:
            findings.mean("exact_match_drop", clean.astype(float) - np.mean(under_noise, axis=0), ids)


WRITTEN_ANSWERS = WrittenAnswers()
