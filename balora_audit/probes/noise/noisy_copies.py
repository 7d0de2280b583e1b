"""What every measure of input noise shares, whatever the answers are: which copies are scored, claimed and shown."""

from __future__ import annotations

from collections.abc import Iterator

from balora_audit.data.conditions import Condition
from balora_audit.data.dataset import AuditDataset, Task
from balora_audit.metric import Metric
from balora_audit.probes.context import Context
from balora_audit.probes.noise.copies import OF_COPIES, grid, noisy, on_copies, repeats, slices_of_copies
from balora_audit.probes.probe import Measure, Repeat
from balora_audit.probes.scores import ScoreRequest
from balora_audit.slices import ALL, Slice

__all__ = ["NoisyCopies"]


class NoisyCopies(Measure):
    """Answers to noisy copies, for models trained on clean data.

    Attributes
    ----------
    task : {"classification", "generation", "regression"}
        The data that it applies to.
    claimed : Metric
        What noise costs: claimed by default, and taken over all copies together too.
    """

    battery = True
    task: Task
    claimed: Metric

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set and its noisy copies; an unchanged copy has the clean text's answer."""
        return on_copies(context) if context.dataset.task == self.task else []

    def headlines(self, dataset: AuditDataset, condition: Condition) -> tuple[str, ...]:
        """Claim what noise costs a model trained on clean data."""
        return (self.claimed.name,) if condition.is_clean and dataset.task == self.task else ()

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return kinds at their severities, kinds, and everything: what each metric is taken over."""
        if context.dataset.task != self.task:
            return ()
        if metric in (record.name for record in OF_COPIES):
            return slices_of_copies(context, metric)
        return self.slices_of_answers(context, metric)

    def slices_of_answers(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return what a metric of the answers is taken over: kinds at severities and, if claimed, all copies."""
        by_severity = tuple(noisy(kind, severity) for kind, severity in grid(context))
        if metric == self.claimed.name:
            return (*by_severity, *((ALL,) if by_severity else ()))
        return by_severity

    def repeats(self, context: Context) -> Iterator[Repeat]:
        """Give copies that are the text itself the answer to the clean text."""
        yield from repeats(context, grid(context), source="test") if context.dataset.task == self.task else ()
