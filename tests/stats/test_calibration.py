"""The calibration suite itself: the product's intervals on simulated audits, within the Monte Carlo error of their number."""

import json

import numpy as np
import pytest
from statsmodels.stats.proportion import proportions_ztest
from typer.testing import CliRunner

from balora_audit.comparison.calibration import calibrate, write
from balora_audit.comparison.calibration.flaws import FLAWS
from balora_audit.comparison.calibration.page import lines
from balora_audit.comparison.calibration.simulate import KINDS, method_truth
from balora_audit.interface.cli import app
from balora_audit.progress import Silent
from balora_audit.stats import Jackknife, mcnemar_exact, paired_jackknife, wilson


@pytest.fixture(scope="module")
def found():
    return calibrate(40, 0, Silent(), fast=True)


@pytest.mark.slow
def test_coverage_is_within_its_bounds_beyond_the_error_of_the_simulation(found):
    rows = [row for row in (*found["cells"], *found["single"]) if row["coverage"]]
    assert len(rows) > 50
    assert [row for row in rows if row["coverage"][2] < 0.90 or row["coverage"][1] > 0.97] == []


@pytest.mark.slow
def test_false_findings_of_all_null_cells_together_are_at_most_five_percent(found):
    null = [(row["excludes_zero"][0], row["audits"] - row["withheld"]) for row in found["cells"] if row["effect"] == 0]
    given = sum(n for _, n in null)
    assert given > 800
    assert wilson(sum(round(share * n) for share, n in null), given)[0] <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3])
def test_a_larger_planted_effect_gives_a_larger_difference(found, seeds):
    for kind in ("rate", "mean", "jackknife"):
        deltas = [row["delta"] for row in found["power"] if (row["kind"], row["seeds"]) == (kind, seeds)]
        assert deltas == sorted(deltas)
        assert deltas[-1] > deltas[0]


@pytest.mark.slow
def test_methods_of_one_frontier_are_told_apart_by_single_rates_and_not_at_equal_skill(found):
    null = [row for row in found["tuned"] if row["planted"] == 0]
    assert {row["seeds"] for row in null} == {1, 3}
    assert [row for row in null if row["verdict"][1] > 0.05] == []
    assert min(row["any_single_rate"][0] for row in null if row["seeds"] == 1) > 0.8
    assert [row for row in found["tuned"] if row["coverage"][2] < 0.90] == []


@pytest.mark.slow
def test_a_planted_gap_of_frontiers_is_found_and_is_of_its_size(found):
    planted = [row for row in found["tuned"] if row["planted"]]
    assert min(row["power"][0] for row in planted) > 0.5
    for row in planted:
        assert row["delta"] == pytest.approx(row["planted"], rel=0.2)
    table = [line for line in lines(found) if line.startswith(("| flips |", "| KL |"))]
    assert len(table) == len(found["tuned"])


@pytest.mark.slow
def test_the_page_is_the_same_bytes_for_the_same_numbers(found, tmp_path):
    first = [path.read_bytes() for path in write(found, tmp_path / "a")]
    assert first == [path.read_bytes() for path in write(json.loads(json.dumps(found)), tmp_path / "b")]


@pytest.mark.slow
def test_the_command_writes_the_page(tmp_path):
    done = CliRunner().invoke(app, ["calibrate", "--fast", "--audits", "3", "--json", "--out", str(tmp_path)])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["audits"] == 3
    assert (tmp_path / "calibration" / "power-rate.svg").exists()


OF_MATRICES = {"jackknife", "gap squared", "wide rank", "wide CKA"}


@pytest.mark.parametrize("name", ["gap squared", "wide rank", "wide CKA"])
def test_the_known_truth_of_a_matrix_is_what_many_samples_give(name):
    """A rank, and a CKA with the noise of few items, have a truth at their own number of items only: the mean over samples of them."""
    rng = np.random.default_rng(5)
    kind = KINDS[name]
    count = kind.sizes[0]
    found = [kind.draw(kind.items(count, rng), 0.3, rng).estimate for _ in range(60)]
    assert np.mean(found) == pytest.approx(kind.truth(0.3), abs=4 * np.std(found) / np.sqrt(60) + 0.005)


@pytest.mark.parametrize("name", sorted(set(KINDS) - OF_MATRICES))
def test_the_known_truth_is_what_a_large_sample_gives(name):
    rng = np.random.default_rng(1)
    kind = KINDS[name]
    count = 2_000_000 if name == "skewed mean" else 200_000  # its standard error is 3.3/√count
    value = kind.draw(kind.items(count, rng), 0.3, rng).value()
    assert value == pytest.approx(kind.truth(0.3), abs=0.01)


def test_the_known_truth_of_the_jackknife_is_what_a_large_sample_gives():
    rng = np.random.default_rng(1)
    kind = KINDS["jackknife"]
    assert kind.draw(kind.items(20_000, rng), 0.3, rng).estimate == pytest.approx(kind.truth(0.3), abs=0.03)


@pytest.mark.parametrize("name", sorted(FLAWS))
def test_the_known_flaw_at_a_skill_is_what_many_draws_give(name):
    rng = np.random.default_rng(6)
    flaw = FLAWS[name]
    truth = flaw.at(0.7) + flaw.gap
    drawn = [flaw.draw(truth, flaw.shared(rng), rng) for _ in range(300)]
    values = [one.estimate if isinstance(one, Jackknife) else one.value() for one in drawn]
    bias = 0.15 if name == "rank" else 0.0  # an effective rank of few rows is lower than that of many
    assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / np.sqrt(300) + bias)


def test_the_truth_of_a_method_is_the_mean_over_seeds():
    skills = np.random.default_rng(2).normal(0.3, 0.1, 20_000)
    kind = KINDS["rate"]
    assert method_truth(kind, 0.3, 0.1) == pytest.approx(np.mean([kind.truth(s) for s in skills[:4000]]), abs=0.002)


def test_a_planted_effect_that_an_unpaired_test_misses_is_found_by_the_paired_one():
    easy = np.random.default_rng(3).random(150) < 0.6
    better = easy.copy()
    better[np.flatnonzero(~easy)[:9]] = True
    assert proportions_ztest([better.sum(), easy.sum()], [150, 150])[1] > 0.05
    assert mcnemar_exact(better, easy) < 0.05


def test_the_jackknife_over_identical_seeds_is_certain_of_no_difference():
    left_out = np.random.default_rng(4).normal(size=40)
    both = [Jackknife(items=80, estimate=value, left_out=left_out) for value in (3.0, 3.1)]
    same = paired_jackknife(both, both)
    assert (same.delta, same.ci_low, same.ci_high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
