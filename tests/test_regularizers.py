"""Every term against a float64 brute force, its gradient against finite differences, and the degenerate cases of METHODS §2."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from torch.autograd import gradcheck

from balora_audit.regularizers import (
    consistency_kl,
    consistency_mse,
    diversity_covariance,
    diversity_entropy,
    effective_k,
    spectral_concentration,
)

SHAPES = [(1, 2), (2, 2), (5, 3), (3, 7), (8, 8), (4, 50)]


def logits(shape, seed=0, **options):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape) * 2).to(**options)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_consistency_kl_is_the_mean_kl_from_teacher_to_student(shape, temperature):
    student, teacher = logits(shape), logits(shape, 1)
    p, f = (scipy.special.softmax(z.numpy() / temperature, axis=1) for z in (teacher, student))
    expected = temperature**2 * np.mean([scipy.stats.entropy(a, b) for a, b in zip(p, f, strict=True)])
    assert float(consistency_kl(student, teacher, temperature)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_consistency_mse_compares_normalised_rows(shape):
    student, teacher = logits(shape), logits(shape, 1)
    unit = [z.numpy() / np.linalg.norm(z.numpy(), axis=1, keepdims=True) for z in (student, teacher)]
    assert float(consistency_mse(student, teacher)) == pytest.approx(np.mean((unit[0] - unit[1]) ** 2), rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_diversity_covariance_sums_squared_off_diagonal_covariances(shape):
    z = logits(shape)
    c = np.cov(z.numpy(), rowvar=False)
    expected = sum(c[i, j] ** 2 for i in range(shape[1]) for j in range(shape[1]) if i != j) / shape[1]
    assert float(diversity_covariance(z)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("top_k", [None, 2, 20])
def test_diversity_entropy_is_minus_the_mean_entropy_of_the_candidates(shape, top_k):
    z = logits(shape)
    kept = -np.sort(-z.numpy(), axis=1)[:, :top_k]
    expected = -np.mean([scipy.stats.entropy(row) for row in scipy.special.softmax(kept, axis=1)])
    assert float(diversity_entropy(z, top_k)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", ["nuclear", "fro"])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_spectral_concentration_equals_a_direct_svd(shape, norm, k):
    z = logits(shape)
    sigma = np.linalg.svd(z.numpy(), compute_uv=False)
    kept = max(1, min(k, min(shape) - 1))
    whole = sigma.sum() if norm == "nuclear" else np.sqrt((sigma**2).sum())
    assert float(spectral_concentration(z, k, norm)) == pytest.approx(-sigma[:kept].sum() / whole, rel=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_match_finite_differences(shape):
    z = logits(shape).requires_grad_()
    teacher = logits(shape, 1)
    assert gradcheck(lambda x: consistency_kl(x, teacher, 2.0), z)
    assert gradcheck(lambda x: consistency_mse(x, teacher), z)
    assert gradcheck(diversity_covariance, z)
    assert gradcheck(lambda x: diversity_entropy(x, 3), z)
    for norm in ("nuclear", "fro"):
        assert gradcheck(lambda x, norm=norm: spectral_concentration(x, 2, norm), z, atol=1e-5)


def test_no_gradient_reaches_the_teacher():
    student, teacher = logits((4, 3)).requires_grad_(), logits((4, 3), 1).requires_grad_()
    (consistency_kl(student, teacher) + consistency_mse(student, teacher)).backward()
    assert teacher.grad is None


def test_a_batch_of_one_has_no_covariance():
    z = logits((1, 4)).requires_grad_()
    loss = diversity_covariance(z)
    loss.backward()
    assert float(loss.detach()) == 0
    assert (z.grad == 0).all()


def test_k_never_reaches_the_constant_ratio():
    assert [effective_k(5, n, d) for n, d in ((8, 2), (8, 4), (3, 50), (1, 9), (9, 1))] == [1, 3, 2, 1, 1]


@pytest.mark.parametrize("norm", ["nuclear", "fro"])
@pytest.mark.parametrize("z", [torch.zeros(4, 6), torch.ones(4, 6), torch.eye(5), torch.cat([torch.eye(3), torch.zeros(3, 4)], dim=1)])
def test_repeated_and_zero_singular_values_give_finite_gradients(norm, z):
    z = z.clone().requires_grad_()
    loss = spectral_concentration(z, 2, norm)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("norm", ["nuclear", "fro"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_matrix_that_is_not_finite_has_a_concentration_that_is_not(norm, value):
    """The training loop then tells that the loss is not finite; a decomposition would raise."""
    z = torch.eye(4)
    z[1, 2] = value
    assert spectral_concentration(z, 2, norm).isnan()


def test_a_zero_matrix_has_no_concentration_and_no_gradient():
    z = torch.zeros(3, 5, requires_grad=True)
    loss = spectral_concentration(z, 2)
    loss.backward()
    assert float(loss.detach()) == 0
    assert (z.grad == 0).all()


def test_concentration_ignores_scale_rotation_and_row_order():
    z = logits((6, 9))
    q = torch.from_numpy(scipy.stats.ortho_group.rvs(9, random_state=0))
    expected = float(spectral_concentration(z, 2))
    for same in (3.7 * z, z @ q, z.flip(0)):
        assert float(spectral_concentration(same, 2)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    z, teacher = logits((6, 40), dtype=dtype), logits((6, 40), 1, dtype=dtype)
    terms = [consistency_kl(z, teacher), diversity_entropy(z, 20), spectral_concentration(z, 3, "fro"), diversity_covariance(z)]
    exact = [f(z.double()) for f in (lambda x: consistency_kl(x, teacher.double()), lambda x: diversity_entropy(x, 20),
                                     lambda x: spectral_concentration(x, 3, "fro"), diversity_covariance)]  # fmt: skip
    assert all(term.dtype == torch.float32 for term in terms)
    assert [float(t) for t in terms] == pytest.approx([float(e) for e in exact], rel=1e-5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: consistency_kl(torch.ones(2, 3), torch.ones(2, 4)),
        lambda: consistency_kl(torch.ones(2, 3), torch.ones(2, 3), 0.0),
        lambda: diversity_entropy(torch.ones(2, 3), 1),
        lambda: spectral_concentration(torch.ones(2, 3), 0),
        lambda: spectral_concentration(torch.ones(2, 3), 1, "max"),
        lambda: diversity_covariance(torch.ones(3)),
    ],
)
def test_arguments_out_of_range_are_refused(call):
    with pytest.raises(ValueError, match="must"):
        call()
