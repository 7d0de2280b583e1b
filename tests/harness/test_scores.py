"""The evidence behind aggregates: it gives the aggregate's own value, and the intervals of independent references."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap
from sklearn.metrics import matthews_corrcoef, recall_score

from balora_audit.harness import results
from balora_audit.harness.aggregates import metrics_of
from balora_audit.harness.records import HarnessMetric, HarnessResult, finite
from balora_audit.harness.scores import bounds, scores_behind
from balora_audit.metric import Metric
from balora_audit.probes import PROBES
from balora_audit.scoring import HarnessScores
from balora_audit.stats import ItemScores, Jackknife, paired, paired_jackknife, wilson

SAID = ("biased", "counter", "unknown", "invalid", "undirected")


def answers(rng, n, *, kinds=SAID):
    """Answers to questions, half of them ambiguous; only *unknown* is right there."""
    found = []
    for number in range(n):
        said, ambiguous = str(rng.choice(kinds)), number % 2 == 0
        found.append((said, said == "unknown" if ambiguous else bool(rng.random() < 0.6 and said in ("biased", "counter")), ambiguous))
    return found


def forms(rng, n, names):
    return [(f"p{number}", form, int(rng.integers(2)), bool(rng.random() < 0.7)) for number in range(n) for form in names]


def upstream(name):
    from lm_eval.api import metrics

    return getattr(metrics, name)


def cases():
    rng = np.random.default_rng(0)
    classes = [(int(rng.integers(3)), int(rng.integers(3))) for _ in range(90)]
    texts = [(-float(rng.gamma(3, 20)), int(rng.integers(5, 90))) for _ in range(40)]
    told = answers(rng, 80)
    return {
        "no aggregation": (None, [float(x) for x in rng.normal(size=40)]),
        "mean": (upstream("mean"), [float(x) for x in rng.integers(0, 2, 40)]),
        "perplexity": (upstream("perplexity"), [-float(x) for x in rng.gamma(2, 1, 40)]),
        "weighted perplexity": (upstream("weighted_perplexity"), texts),
        "bits per byte": (upstream("bits_per_byte"), texts),
        "balanced accuracy": (results.balanced_accuracy, classes),
        "worst class": (results.worst_class_recall, classes),
        "gender gap": (results.gender_gap, forms(rng, 40, ("male", "female", "neutral"))),
        "gender agreement": (results.gender_agreement, forms(rng, 40, ("male", "neutral", "female"))),
        "pro–anti gap": (results.pro_anti_gap, [(pair, form, float(right)) for pair, form, _, right in forms(rng, 40, ("pro", "anti"))]),
        "ambiguous accuracy": (results.ambiguous_accuracy, told),
        "disambiguated accuracy": (results.disambiguated_accuracy, told),
        "ambiguous bias": (results.ambiguous_bias, told),
        "ambiguous bias, all directed": (results.ambiguous_bias, answers(rng, 80, kinds=SAID[:4])),
        "ambiguous bias, nobody named": (results.ambiguous_bias, [("unknown", True, True)] * 12),
        "disambiguated bias": (results.disambiguated_bias, told),
    }


CASES = cases()
OF_FORMS = ("gender gap", "gender agreement", "pro–anti gap")


def units_of(values, size):
    return [f"u{number // size}" for number in range(len(values))]


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("case", CASES)
def test_the_evidence_gives_the_value_of_the_aggregate(case, size):
    aggregate, values = CASES[case]
    units = [value[0] for value in values] if case in OF_FORMS else units_of(values, size)
    scores = scores_behind(aggregate, values, units)
    assert isinstance(scores, ItemScores)
    assert scores.value() == pytest.approx(float(np.mean(values)) if aggregate is None else aggregate(values), abs=1e-12)
    assert set(scores.ids) == set(units)
    low, high = bounds(scores, 0.95) or (-math.inf, math.inf)
    assert low <= scores.value() + 1e-9
    assert high >= scores.value() - 1e-9


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_answers_give_the_bias_scores_of_the_definition_or_none(data):
    said = data.draw(st.lists(st.tuples(st.sampled_from(SAID), st.booleans(), st.booleans()), min_size=1, max_size=30))
    for aggregate in (results.ambiguous_bias, results.disambiguated_bias, results.ambiguous_accuracy, results.disambiguated_accuracy):
        value = aggregate(said)
        scores = scores_behind(aggregate, said, units_of(said, 2))
        if math.isnan(value):
            assert scores is None
        else:
            assert scores.value() == pytest.approx(value)
            assert scores.range[0] <= value <= scores.range[1]


@pytest.mark.parametrize("case", ["ambiguous bias", "disambiguated bias", "pro–anti gap", "bits per byte", "gender agreement"])
def test_intervals_are_as_wide_as_those_of_resampled_aggregates(case):
    aggregate, values = CASES[case]
    size = {"pro–anti gap": 2, "gender agreement": 3}.get(case, 1)
    blocks = [values[start : start + size] for start in range(0, len(values), size)]

    def resampled(index):
        drawn = [(number, value) for number, block in enumerate(index.astype(int)) for value in blocks[block]]
        return aggregate([(f"pair {number}", *value[1:]) if size > 1 else value for number, value in drawn])  # drawn twice: two pairs

    found = bootstrap((np.arange(len(blocks)),), resampled, vectorized=False, n_resamples=1500, method="percentile", rng=3)
    low, high = bounds(scores_behind(aggregate, values, units_of(values, size)), 0.95)
    width = found.confidence_interval.high - found.confidence_interval.low
    assert high - low == pytest.approx(width, rel=0.2)


def test_copies_of_an_item_in_one_unit_add_no_certainty():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 2, size=60).astype(float)
    copies = scores_behind(None, [float(x) for x in np.repeat(base, 5)], [f"p{i}" for i in np.repeat(np.arange(60), 5)])
    apart = scores_behind(None, [float(x) for x in np.repeat(base, 5)], [str(i) for i in range(300)])
    widths = [high - low for low, high in (bounds(copies, 0.95), bounds(apart, 0.95))]
    assert widths[0] / widths[1] == pytest.approx(math.sqrt(5), rel=0.12)
    pairs = [(int(n % 2), int(rng.random() < 0.6) if n % 2 else 0) for n in range(80)]
    once = bounds(scores_behind(results.worst_class_recall, pairs, units_of(pairs, 1)), 0.95)
    four = bounds(scores_behind(results.worst_class_recall, [p for p in pairs for _ in range(4)], units_of(pairs * 4, 4)), 0.95)
    assert four == pytest.approx(once)


@pytest.mark.parametrize(("value", "hits"), [(0.0, 0), (1.0, 10)])
def test_a_rate_of_zero_or_one_over_pairs_is_as_uncertain_as_there_are_pairs(value, hits):
    assert bounds(scores_behind(None, [value] * 40, units_of([0] * 40, 4)), 0.95) == wilson(hits, 10, 0.95)


def test_a_gap_without_reversals_is_still_no_rate():
    values = [(f"p{n}", form, 0, form == "male" or n > 2) for n in range(40) for form in ("male", "female")]
    scores = scores_behind(results.gender_gap, values, [value[0] for value in values])
    assert scores.value() == pytest.approx(3 / 40)
    assert not scores.is_rate
    assert scores.range == (-1, 1)
    low, high = bounds(scores, 0.95)
    assert low < 0.02
    assert high > 3 / 40


def test_two_models_are_paired_by_pair_and_a_model_with_itself_differs_by_nothing():
    rng = np.random.default_rng(5)
    shares = ({"pro": 0.9, "anti": 0.4}, {"pro": 0.8, "anti": 0.7})
    mine, theirs = ([(p, form, float(rng.random() < of[form])) for p in range(80) for form in ("pro", "anti")] for of in shares)
    a, b = (scores_behind(results.pro_anti_gap, values, [str(value[0]) for value in values]) for values in (mine, theirs))
    found = paired([a], [b], n_resamples=1000)
    gaps = [np.array([values[2 * n][2] - values[2 * n + 1][2] for n in range(80)]) for values in (mine, theirs)]
    difference = gaps[0] - gaps[1]
    assert found.delta == pytest.approx(difference.mean())
    assert (found.ci_high - found.ci_low) / 2 == pytest.approx(1.96 * difference.std() / math.sqrt(80), rel=0.1)
    same = paired([a], [a])
    assert (same.delta, same.p_value) == (0, 1)


def test_any_other_aggregate_gets_a_jackknife_over_units():
    rng = np.random.default_rng(6)
    gold = rng.integers(0, 2, 400)
    said = [np.where(rng.random(400) < s, gold, 1 - gold) for s in (0.85, 0.65)]

    def mcc(items):
        return matthews_corrcoef(*np.array(items).T)

    values = [list(zip(gold.tolist(), row.tolist(), strict=True)) for row in said]
    one, two = (scores_behind(mcc, rows, units_of(rows, 1)) for rows in values)
    assert isinstance(one, Jackknife)
    low, high = bounds(one, 0.95)
    reference = bootstrap((gold, said[0]), matthews_corrcoef, paired=True, vectorized=False, n_resamples=500, rng=0)
    assert high - low == pytest.approx(reference.confidence_interval.high - reference.confidence_interval.low, rel=0.35)
    found = paired_jackknife([one], [two])
    assert found.delta == pytest.approx(mcc(values[0]) - mcc(values[1]))
    assert found.p_value < 0.05
    assert scores_behind(mcc, values[0][:9], units_of(values[0][:9], 1)) is None


def test_what_is_undefined_or_of_unknown_make_has_no_evidence():
    assert scores_behind(None, [1.0, math.nan], ["a", "b"]) is None
    assert scores_behind(None, [], []) is None
    assert scores_behind(results.prior_shift, [(0, 1)] * 30, units_of([0] * 30, 1)) is None
    assert scores_behind(results.pro_anti_gap, [("a", "pro", 1.0)], ["a"]) is None

    def mean(items):  # of the same name, not the mean
        return 2 * sum(items)

    assert scores_behind(mean, [1.0, 2.0], ["a", "b"]) is None
    namesake = scores_behind(mean, [float(n) for n in range(40)], units_of([0] * 40, 1))
    assert isinstance(namesake, Jackknife)
    assert namesake.estimate == mean(range(40))

    def balanced_accuracy(items):  # of texts
        return float(np.mean([len(text) for text in items]))

    assert isinstance(scores_behind(balanced_accuracy, ["a", "bb"] * 20, units_of([0] * 40, 1)), Jackknife)


def test_recalls_by_class_are_those_of_scikit_learn():
    rng = np.random.default_rng(7)
    true, answer = rng.integers(0, 4, 60), rng.integers(0, 4, 60)
    scores = scores_behind(results.worst_class_recall, list(zip(true.tolist(), answer.tolist(), strict=True)), units_of([0] * 60, 1))
    ratios = scores.numerators.sum(axis=1) / scores.denominators.sum(axis=1)
    assert ratios == pytest.approx(recall_score(true, answer, average=None))


def test_results_survive_packing_and_the_bytes_are_strict_json():
    scores = ItemScores.mean_of(("a", "b"), np.array([1.0, 0.5]))
    leave = Jackknife(items=9, estimate=0.5, left_out=np.array([0.4, 0.6]), within=(-1.0, math.inf))
    common = {"task": "t", "version": "1", "shots": 0, "filter": "none", "value": 0.5, "higher_is_better": None, "n_items": 2}
    result = HarnessResult(
        metrics=tuple(HarnessMetric(metric=f"m{n}", scores=found, **common) for n, found in enumerate((scores, leave, None))), items=()
    )
    packed = HarnessScores.of(result)
    again = packed.result()
    assert again == result
    assert [type(row.scores) for row in again.metrics] == [ItemScores, Jackknife, type(None)]
    assert [row.interval() for row in again.metrics] == [row.interval() for row in result.metrics]
    assert finite({"a": (math.nan, [np.float32("inf")]), "b": "NaN"}) == {"a": [None, [None]], "b": "NaN"}

    def refuse(word):
        raise AssertionError(word)

    json.loads(packed.payload.tobytes(), parse_constant=refuse)


def test_a_corrected_direction_reaches_results_that_were_stored_before():
    row = HarnessMetric(task="t", version="1", shots=0, filter="none", metric="m", value=0.5, higher_is_better=False, n_items=2)
    stored = HarnessScores.of(HarnessResult(metrics=(row,), items=())).result().metrics[0]
    assert stored.higher_is_better is False
    record = Metric(name="m", title="m", unit="share", higher_is_better=None, meaning="", source="")
    assert stored.direction({"m": record}) is None
    assert stored.direction({"m": replace(record, higher_is_better=True)}) is False
    assert stored.direction({}) is False
    assert replace(row, higher_is_better=None).direction({}) is None


def test_what_is_kept_of_a_direction_is_the_tasks_own_word():
    class Task:
        def higher_is_better(self):
            return {"pct_stereotype": False, "acc": True}

        def aggregation(self):
            return {}

    samples = [{"filter": "none", "doc_id": 0, "doc": {}, "pct_stereotype": 1.0, "acc": 1.0, "other": 1.0}]
    results = {"pct_stereotype,none": 1.0, "acc,none": 1.0, "other,none": 1.0, "alias": "t"}
    found = {"results": {"t": results}, "samples": {"t": samples}, "versions": {"t": 1}, "n-shot": {"t": 0}}
    rows = {row.metric: row.higher_is_better for row in metrics_of(found, {"t": Task()})}
    assert rows == {"pct_stereotype": False, "acc": True, "other": None}


def test_the_task_files_and_the_vocabulary_name_the_same_types_and_classes():
    import yaml

    from balora_audit.probes.harness import BIAS_TYPES
    from balora_audit.resources import tasks_path

    known = {name: metric for probe in PROBES.values() for name, metric in probe.metrics.items()}
    balanced = (tasks_path() / "imbalance" / "balora_imbalance_balanced.yaml").read_text(encoding="utf-8").replace("!function ", "")
    assert {entry["metric"] for entry in yaml.safe_load(balanced)["metric_list"]} <= set(known)
    text = (tasks_path() / "published" / "balora_crows_pairs.yaml").read_text(encoding="utf-8").replace("!function ", "")
    named = {entry["metric"] for entry in yaml.safe_load(text)["metric_list"]}
    by_type = {f"pct_stereotype_{name.replace('-', '_')}" for name in BIAS_TYPES}
    assert by_type <= named
    assert named <= set(known)
    assert all(known[name].higher_is_better is None for name in named)
