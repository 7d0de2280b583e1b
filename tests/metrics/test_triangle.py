"""Triangular factors of streams of rows against direct decompositions of the whole matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balora_audit.metrics import OF_SINGULAR_VALUES, Moments, leave_group_out_singular_values, singular_values
from balora_audit.metrics.triangle import Triangle, each_left_out


def direct(x):
    return np.linalg.svd(x - x.mean(axis=0), compute_uv=False)


def shaped(count, sigma, seed=0):
    """Features with given singular values before a shift far from 0."""
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(rng.normal(size=(count, len(sigma))))[0]
    v = np.linalg.qr(rng.normal(size=(len(sigma), len(sigma))))[0]
    return (u * sigma) @ v.T + 50 * rng.normal(size=len(sigma))


SPECTRA = {
    "flat": np.ones(40),
    "power law": np.arange(1, 41) ** -1.5,
    "exponential": np.exp(-0.4 * np.arange(40)),  # down to 1.6e-7 of the largest
}


@pytest.mark.parametrize("shape", SPECTRA)
def test_a_tall_matrix_has_the_spectrum_of_its_direct_decomposition(shape):
    x = shaped(3000, SPECTRA[shape])
    sigma = singular_values(x)  # block by block: 3000 items in 40 dimensions
    assert sigma == pytest.approx(direct(x), rel=1e-8, abs=1e-12 * sigma[0])
    for of in OF_SINGULAR_VALUES.values():
        assert of(sigma) == pytest.approx(of(direct(x)), rel=1e-6)


def test_a_planted_rank_survives_the_blocks():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2000, 3)) @ rng.normal(size=(3, 30)) + 100
    assert np.count_nonzero(singular_values(x)) == 3


def test_a_gram_matrix_loses_the_digits_that_the_factor_keeps():
    """The negative control: the last values, 1e-6 to 1e-7 of the first, through the eigenvalues of XᵀX."""
    x = shaped(3000, SPECTRA["exponential"])
    expected = direct(x)[-6:]
    gram = Moments(40)
    gram.add(x)
    through_gram = np.sqrt(np.abs(np.linalg.eigvalsh(gram.gram())[:6][::-1]))
    assert np.abs(through_gram / expected - 1).max() > 1e-4
    assert np.abs(singular_values(x)[-6:] / expected - 1).max() < 2e-6


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(1, 60), min_size=1, max_size=6), st.booleans(), st.booleans())
def test_the_factor_is_that_of_the_whole_however_it_is_cut(seed, sizes, center, joined):
    x = np.random.default_rng(seed).normal(size=(sum(sizes), 7)).astype(np.float32) * 3 + 20
    found = Triangle(7)
    for block in np.split(x, np.cumsum(sizes)[:-1]):
        if joined:
            part = Triangle(7)
            part.add(block)
            found.join(part)
        else:
            found.add(block)
    whole = x.astype(np.float64)
    assert found.count == len(x)
    if center and len(x) == 1:
        with pytest.raises(ValueError, match="rank 0"):
            found.singular_values()
    else:
        expected = np.linalg.svd(whole - whole.mean(axis=0) if center else whole, compute_uv=False)
        assert found.singular_values(center=center) == pytest.approx(expected, rel=1e-9, abs=1e-9 * expected[0])


@pytest.mark.parametrize("parts", [2, 3, 8, 11])
def test_every_part_is_left_out_in_turn_and_the_parts_stay_as_they_were(parts):
    rng = np.random.default_rng(parts)
    blocks = [rng.normal(size=(int(rng.integers(1, 30)), 6)) + rng.normal(size=6) * 4 for _ in range(parts)]
    streams = []
    for block in blocks:
        streams.append(Triangle(6))
        streams[-1].add(block)
    for number, others in enumerate(each_left_out(streams)):
        left = np.concatenate([block for place, block in enumerate(blocks) if place != number])
        assert others.count == len(left)
        if len(left) > 1:
            assert others.singular_values() == pytest.approx(direct(left), rel=1e-9, abs=1e-9 * direct(left)[0])
    assert [stream.count for stream in streams] == [len(block) for block in blocks]


@pytest.mark.parametrize("count", [200, 3000])
def test_leaving_groups_out_equals_decomposing_what_is_left(count):
    x = shaped(count, SPECTRA["power law"], seed=3)
    groups = np.arange(count) % 6
    for group, sigma in enumerate(leave_group_out_singular_values(x, groups)):
        assert sigma == pytest.approx(direct(x[groups != group]), rel=1e-7)


def test_small_singular_values_survive_leaving_groups_out():
    x, groups = shaped(3000, SPECTRA["exponential"]), np.arange(3000) % 5
    for group, sigma in enumerate(leave_group_out_singular_values(x, groups)):
        assert sigma == pytest.approx(direct(x[groups != group]), rel=1e-8, abs=1e-12)


def test_rows_far_from_zero_keep_their_digits():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(3000, 5)) * [1, 1, 1e-3, 1e-3, 1e-4]
    assert singular_values(x + 2.0**20) == pytest.approx(direct(x), rel=1e-5)


def test_a_stream_is_refused_for_what_a_matrix_is_refused_for():
    with pytest.raises(ValueError, match="at least one dimension"):
        Triangle(0)
    with pytest.raises(ValueError, match="3 dimensions, the block has 2"):
        Triangle(3).add(np.ones((4, 2)))
    with pytest.raises(ValueError, match="finite"):
        Triangle(2).add(np.array([[1.0, np.nan]]))
    with pytest.raises(ValueError, match="without rows"):
        Triangle(2).singular_values()
    flat = Triangle(2)
    flat.add(np.ones((5, 2)))
    with pytest.raises(ValueError, match="rank 0"):
        flat.singular_values()
    with pytest.raises(ValueError, match="rank 0"):
        singular_values(np.ones((5000, 3)))
    with pytest.raises(ValueError, match="two groups"):
        leave_group_out_singular_values(np.eye(4), np.zeros(4))
