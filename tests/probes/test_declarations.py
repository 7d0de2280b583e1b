"""What the records of the metrics say: one meaning per name, the displays in their order, and slices that come true."""

import numpy as np
import pytest
from planted import DATA, GOLD, answered, answering, changed_at, context, generation, measure

from balora_audit.metric import Metric
from balora_audit.probes import PROBES, Beside, LabelScores, Measure, Probe
from balora_audit.probes.recorded import recorded
from balora_audit.records import Measurement
from balora_audit.slices import ALL, Slice

GROUPS = {
    ("noise", "curve"): ("accuracy", "response_nll", "token_accuracy", "exact_match"),
    ("noise", "by kind"): ("severity_area", "relative_drop", "response_nll_rise"),
    ("noise", "folded"): (
        "accuracy_drop", "relative_drop", "flip_rate", "consistency", "response_nll_rise", "realised_rate", "applicable_texts",
    ),
    ("noise", "label noise"): ("memorisation", "recovered_true", "memorisation_excess"),
    ("imbalance", "recall over imbalance"): ("balanced_accuracy", "head_recall", "medium_recall", "tail_recall", "worst_class_recall"),
    ("imbalance", "over correlation"): (
        "tpr_gap_rms", "tpr_gap_squared", "equalized_odds_difference", "counterfactual_flip_rate", "excess_flips", "stereotype_direction",
    ),
    ("collapse", "headline"): ("effective_rank", "general_effective_rank"),
    ("collapse", "by layer"): (
        "effective_rank", "iso_score", "anisotropy", "cka_to_base", "principal_angle_to_base", "knn_accuracy",
    ),
    ("collapse", "weights"): ("weight_change", "weight_change_rank", "intruder_dimensions"),
    ("drift", "headline"): ("kl_per_token",),
}  # fmt: skip


@pytest.mark.parametrize(("probe", "group"), GROUPS)
def test_the_displays_have_their_metrics_in_this_order(probe, group):
    found = [name for name, metric in PROBES[probe].metrics.items() if group in metric.groups]
    assert tuple(found) == GROUPS[probe, group]


def test_one_name_means_one_thing_in_all_probes():
    records = [metric for probe in PROBES.values() for metric in probe.metrics.values()]
    assert len({metric.name for metric in records}) == len(set(records))


def test_what_is_told_of_a_difference_has_its_fields_only():
    fields = dict.fromkeys(("candidate", "baseline", "title", "size", "word", "swapped"), "x")
    for probe in PROBES.values():
        for metric in probe.metrics.values():
            assert metric.sentence.form.format(**fields)
            assert metric.margin is None or metric.margin > 0
            assert ("when only" not in metric.meaning) or ("{swapped}" in metric.meaning)


def test_distances_from_the_base_are_trivial_against_it_and_group_metrics_always_compared():
    standing = {name: metric.against_base for probe in PROBES.values() for name, metric in probe.metrics.items()}
    assert {name for name, kind in standing.items() if kind == "trivial"} == {
        "cka_to_base", "principal_angle_to_base", "retained", "lost", "gained", "perplexity_ratio", "kl_per_token",
        "memorisation_excess", "imbalance_cost", "tail_survival",
    }  # fmt: skip
    of_swaps = {
        "placebo_flip_rate",
        "excess_flips",
        "stereotype_direction",
        "stereotype_lean",
        "tpr_gap_null",
        "imbalance_cost",
        "tail_survival",
    }
    assert {name for name, kind in standing.items() if kind == "always"} == PROBES["imbalance"].metrics.keys() - {"accuracy"} - of_swaps


def rows_of(probe, here, scores, base=None):
    return {(row.metric, row.slice) for row in measure(probe, here, scores, Beside(base=base)).measurements}


def foretold(probe, here):
    found = {name: PROBES[probe].slices(here, name) for name in PROBES[probe].metrics}
    return {(name, str(slice)) for name, slices in found.items() for slice in slices or ()}


@pytest.mark.parametrize("condition", ["clean", "noise:0.3", "imbalance:20", "correlate:0.9"])
def test_noise_and_imbalance_have_the_slices_that_they_foretell(condition):
    here = context(condition)
    if condition == "clean":
        here = context(flipped_elsewhere={"noise:0.3": context("noise:0.3").flipped})
    for probe in ("noise", "imbalance"):
        scores = {request.key: answering(np.zeros(len(request.ids), dtype=int)) for request in PROBES[probe].requests(here)}
        assert rows_of(probe, here, scores) == foretold(probe, here)


def test_written_answers_and_responses_have_the_slices_that_they_foretell():
    here, scores = generation(lambda i, key: f"#### {i}")
    assert rows_of("noise", here, scores) == foretold("noise", here)


def test_collapse_has_the_slices_that_it_foretells():
    x = np.random.default_rng(0).normal(size=(80, 12)).astype(np.float32)
    scores = {"test": LabelScores(log_likelihood=answering(GOLD).log_likelihood, features=x, layer_features=np.stack([x, x], axis=1))}
    here = context(layers=(0, 5), changes_weights=False)
    assert rows_of("collapse", here, scores, scores) == foretold("collapse", here)
    assert PROBES["collapse"].slices(context(), "weight_change") is None
    assert PROBES["collapse"].slices(here, "weight_change") == ()


def test_headlines_are_those_of_the_data_and_the_condition():
    here = {condition: context(condition).condition for condition in ("clean", "noise:0.3", "imbalance:20", "correlate:0.9")}
    found = {name: [PROBES[probe].headlines(DATA, condition) for probe in PROBES] for name, condition in here.items()}
    assert found == {
        "clean": [
            ("accuracy",),
            ("accuracy_under_noise", "survival"),
            ("excess_flips", "stereotype_lean"),
            ("general_effective_rank",),
            ("kl_per_token",),
            (),
        ],
        "noise:0.3": [(), ("memorisation_excess",), (), (), (), ()],
        "imbalance:20": [(), (), ("imbalance_cost",), (), (), ()],
        "correlate:0.9": [(), (), ("excess_flips", "stereotype_lean"), (), (), ()],
    }


def test_findings_are_kept_by_slice_and_printed():
    here = context()
    scores = answered(PROBES["noise"].requests(here), **{"typo@3": changed_at(here, "typo", 3, 8)})
    found = PROBES["noise"].measure(here, scores)
    assert {("accuracy", Slice("noise", "typo", 3)), ("accuracy_drop", ALL), ("survival", ALL)} <= found.scores.keys()
    assert {str(slice) for _, slice in found.scores} <= {row.slice for row in found.measurements}


class Undeclared(Measure):
    metrics = (Metric(name="known", title="t", unit="share", higher_is_better=True, meaning="m", source="s"),)

    def measure(self, context, scores, beside, findings):
        findings.plain("unknown", 1.0, 1)


def test_a_metric_that_is_not_declared_cannot_be_measured():
    probe = Probe(name="foreign", title="t", summary="s", measures=(Undeclared(),))
    with pytest.raises(ValueError, match="declares no metric 'unknown'; it has known"):
        probe.measure(context(), {})


def test_measures_that_ask_for_different_texts_under_one_key_are_refused():
    class Asks(Undeclared):
        def __init__(self, text):
            self.text = text

        def requests(self, context):
            from balora_audit.probes import ScoreRequest

            return [ScoreRequest(key="k", kind="texts", ids=("a",), texts=(self.text,))]

    def probe(*texts):
        return Probe(name="foreign", title="t", summary="s", measures=tuple(map(Asks, texts)))

    assert len(probe("a", "a").requests(context())) == 1
    with pytest.raises(ValueError, match="different texts under the key 'k'"):
        probe("a", "b").requests(context())


def row(probe, metric):
    return Measurement(
        method="m", condition="clean", seed=0, probe=probe, metric=metric, value=0.5, n=1, higher_is_better=None
    )  # fmt: skip


def test_the_record_has_what_was_measured_or_claimed_with_what_was_swapped():
    measured = [
        row("imbalance", "counterfactual_flip_rate"),
        row("noise", "flip_rate"),
        row("noise", "accuracy"),
        row("harness", "odd_one"),
    ]
    rows, metrics = recorded(PROBES, measured, [], built_in=PROBES, swapped="an identity term of {x}.csv")
    assert [probe.name for probe in rows] == list(PROBES)
    assert [probe.metrics for probe in rows] == [(), ("accuracy", "flip_rate"), ("counterfactual_flip_rate",), (), (), ("odd_one",)]
    assert [metric.name for metric in metrics] == ["accuracy", "flip_rate", "counterfactual_flip_rate", "odd_one"]
    flips, odd = metrics[2:]
    assert flips.meaning == "Share of items whose answer changes when only an identity term of {x}.csv changes in the text."
    told = flips.sentence.form.format(candidate="A", baseline="B", size="3 points", word="less", title="t")
    assert told == "A changed 3 points less of its answers than B when only an identity term of {x}.csv changes"
    assert (odd.title, odd.unit, odd.meaning) == ("odd one", "number", "As reported by its task.")
