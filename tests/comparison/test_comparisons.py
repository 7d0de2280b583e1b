"""Claims about what failed, and what is compared with the base: decided by the records and the evidence, not by names."""

from typing import cast

import numpy as np
import pytest

from balora_audit.cells import CellId
from balora_audit.comparison.compare import compare_all
from balora_audit.config import AuditConfig
from balora_audit.metric import Metric
from balora_audit.probes import Context, Findings, Measure, Probe
from balora_audit.records import Claim
from balora_audit.slices import ALL, Slice
from balora_audit.stats import ItemScores

CONFIG = AuditConfig(models=("base", "lora", "balora"), resamples=200)
NAMES = ("compared", "trivial", "always")
TASK = Slice.parse("arc (version 1.0, 0 shots)")
PARTS = (Slice("class", "nurse"), Slice("noise", "typo", 5), Slice("part", "typo"), Slice("layer", "2"))


class Invented(Measure):
    metrics = tuple(
        Metric(name=name, title=name, unit="share", higher_is_better=True, meaning="m", source="s", against_base=name) for name in NAMES
    )

    def measure(self, context, scores, beside, findings):
        raise NotImplementedError


def probe(name):
    return Probe(name=name, title=name, summary=name, measures=(Invented(),))


def found(name, value, slices=(ALL,)):
    scores = ItemScores.mean_of(tuple("abcdefgh"), value + np.arange(8) / 10)
    return Findings(cast(Context, None), probe(name), scores={(metric, slice): scores for metric in NAMES for slice in slices})


def evidence(**missing):
    """Return cells of three models under one condition; `missing` takes probes of a model away."""
    return {
        CellId(model, "clean", 0): {
            name: found(name, value, (ALL, TASK, *PARTS)) for name in ("first", "second") if name not in missing.get(model, ())
        }
        for model, value in (("base", 0.1), ("lora", 0.2), ("balora", 0.4))
        if missing.get(model) != "all"
    }


def claim(name):
    return Claim(
        id=name, baseline="lora", candidate="balora", condition="clean", probe=name, metric="compared", margin=0.0, higher_is_better=True
    )


def test_a_claim_whose_probe_failed_is_an_error_with_the_reason_and_the_others_are_decided():
    cells = evidence(balora=("first",))
    why = {(CellId("balora", "clean", 0), "first"): "the probe 'first' failed: ZeroDivisionError: nobody is perfect"}
    first, second, *rest = compare_all(CONFIG, [claim("first"), claim("second")], [("lora", "balora")], cells, failures=why)
    assert first.verdict == "error"
    assert first.delta is None
    assert first.reason == "failed: balora under clean, seed 0 (the probe 'first' failed: ZeroDivisionError: nobody is perfect)"
    assert (second.verdict, second.delta) == ("supported", pytest.approx(0.2))
    assert {row.probe for row in rest} == {"second"}


def test_a_claim_about_a_cell_that_failed_is_an_error_without_a_reason_too():
    (row,) = compare_all(CONFIG, [claim("first")], [], evidence(balora="all"))
    assert (row.verdict, row.reason) == ("error", "failed: balora under clean, seed 0")


def test_a_probe_that_failed_for_the_base_alone_is_no_error_of_a_claim_between_others():
    (row,) = compare_all(CONFIG, [claim("first")], [], evidence(base=("first", "second")))
    assert row.verdict == "supported"


def test_whole_slices_are_compared_and_parts_are_not():
    rows = compare_all(CONFIG, [], [("lora", "balora")], evidence())
    assert {row.slice for row in rows} == {"all", str(TASK)}


def test_the_records_say_what_is_compared_with_the_base():
    def metrics(pairs):
        rows = compare_all(CONFIG, [], pairs, evidence(), untrained=frozenset({"base"}))
        return {(row.baseline, row.candidate, row.metric) for row in rows}

    everything = {("lora", "balora", name) for name in NAMES}
    assert metrics([("lora", "balora")]) == everything | {("base", name, "always") for name in ("lora", "balora")}
    assert metrics([("base", "balora")]) == {("base", "balora", "compared"), ("base", "balora", "always"), ("base", "lora", "always")}
