"""Verdicts in plain English."""

import dataclasses

import pytest
from balora_audit.vocabulary import METRICS

from balora_audit.records import Comparison
from balora_audit.report.rows import Reader
from balora_audit.report.sentences import claim_sentence, verdict_sentence


@pytest.fixture(scope="module")
def reader(audit):
    return Reader(audit)


def comparison(**changes):
    fields = {
        "claim": "x", "baseline": "lora", "candidate": "balora", "condition": "clean", "probe": "noise", "metric": "accuracy_drop",
        "delta": -0.031, "ci_low": -0.05, "ci_high": -0.012, "n_items": 400, "n_seeds": 3, "margin": 0.01, "higher_is_better": False,
        "verdict": "supported",
    }  # fmt: skip
    return Comparison(**{**fields, **changes})


def said(reader, **changes):
    return verdict_sentence(reader, comparison(**changes)).replace("\N{NO-BREAK SPACE}", " ")


def test_the_interval_runs_in_the_direction_of_the_sentence(reader):
    expected = "BA-LoRA lost 3.1 points less accuracy than LoRA under noise (95 % interval 1.2 to 5.0; 3 seeds; 400 items; margin 1.0)."
    assert said(reader) == expected


def test_few_seeds_speak_of_checkpoints(reader):
    assert said(reader, n_seeds=1).endswith("1 seed; 400 items; margin 1.0; about these checkpoints, not the method).")
    assert "checkpoints" not in said(reader, n_seeds=3)


def test_an_interval_around_zero_names_both_sides(reader):
    text = said(reader, metric="tail_recall", delta=-0.025, ci_low=-0.175, ci_high=0.128, higher_is_better=True)
    assert text.startswith("BA-LoRA's tail recall was 2.5 points lower than LoRA's (95 % interval 17.5 lower to 12.8 higher;")


def test_units_that_are_no_shares(reader):
    text = said(reader, metric="kl_per_token", delta=0.7031, ci_low=0.656, ci_high=0.75, margin=0.02)
    assert text.startswith(
        "BA-LoRA moved 0.703 nats per token further from the base than LoRA on general text (95 % interval 0.656 to 0.750;"
    )


def test_no_difference(reader):
    assert said(reader, delta=0.0, ci_low=-0.01, ci_high=0.01).startswith("BA-LoRA and LoRA have the same accuracy drop under noise (95 %")


def test_what_was_not_measured_says_why(reader):
    assert said(reader, delta=None, ci_low=None, ci_high=None, reason="out of memory") == "No verdict: out of memory."


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("delta", [-0.3, 0.3])
def test_every_metric_has_a_sentence(reader, metric, delta):
    text = said(reader, metric=metric, delta=delta, ci_low=delta - 0.1, ci_high=delta + 0.1)
    assert text.startswith("BA-LoRA")
    assert "LoRA" in text
    assert "{" not in text
    assert not set(text.lower().split()) & {"debiased", "unbiased", "solved", "fair"}


def test_braces_in_a_title_are_only_text(audit):
    models = tuple(dataclasses.replace(model, title="{size}{0}") if model.name == "balora" else model for model in audit.models)
    assert verdict_sentence(Reader(dataclasses.replace(audit, models=models)), comparison()).startswith("{size}{0} lost 3.1 points")


def test_a_claim_says_which_way_is_better(reader):
    assert claim_sentence(reader, comparison()) == "BA-LoRA: lower accuracy drop under noise than LoRA by more than 1.0 points (clean data)"
