"""The loss against a plain re-derivation of the paper's equations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dino_train.loss import DINOLoss, counted_pairs, max_entropy


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max())
    return powers / powers.sum()


def paper_terms(student, teacher, center, views, batch, student_temp, teacher_temp):
    """Equations (1), (3) and (4) of the paper, one image and one pair of views at a time.

    Returns:
        Loss, teacher's and student's entropy, and the loss's gradient by the student's logits.
    """
    total, pairs, gradient = 0.0, 2 * (views - 1), np.zeros_like(student)
    teacher_entropy, student_entropy = 0.0, 0.0
    for i in range(batch):
        for s in range(views):
            p_s = softmax(student[s * batch + i] / student_temp)
            student_entropy -= float((p_s * np.log(p_s)).sum()) / (batch * views)
            for t in range(2):
                if s == t:
                    continue
                p_t = softmax((teacher[t * batch + i] - center) / teacher_temp)
                total -= float((p_t * np.log(p_s)).sum()) / (batch * pairs)
                gradient[s * batch + i] += (p_s - p_t) / (student_temp * batch * pairs)
        for t in range(2):
            p_t = softmax((teacher[t * batch + i] - center) / teacher_temp)
            # 0 log 0 is 0.
            teacher_entropy -= float((p_t * np.log(np.maximum(p_t, 1e-300))).sum()) / (batch * 2)
    return total, teacher_entropy, student_entropy, gradient


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("views", [2, 3, 6, 10])
@pytest.mark.parametrize("out_dim", [2, 17, 256])
@pytest.mark.parametrize(
    ("student_temp", "teacher_temp"),
    [(0.1, 0.02), (0.1, 0.04), (0.1, 0.07), (0.5, 0.2), (1.0, 1.0)],
)
def test_loss_entropies_and_gradient_equal_the_papers_formula(
    batch, views, out_dim, student_temp, teacher_temp
):
    rng = np.random.default_rng((batch, views, out_dim))
    student = rng.standard_normal((views * batch, out_dim)).astype(np.float32)
    teacher = rng.standard_normal((2 * batch, out_dim)).astype(np.float32)
    center = (rng.standard_normal(out_dim) * 0.3).astype(np.float32)
    criterion = DINOLoss(out_dim, student_temp)
    criterion.center.copy_(torch.from_numpy(center)[None])
    logits = torch.from_numpy(student).requires_grad_()
    terms = criterion(logits, torch.from_numpy(teacher), views, teacher_temp)
    terms.loss.backward()
    arrays = (a.astype(np.float64) for a in (student, teacher, center))
    loss, teacher_entropy, student_entropy, gradient = paper_terms(
        *arrays, views, batch, student_temp, teacher_temp
    )
    assert terms.loss.item() == pytest.approx(loss, rel=2e-5)
    assert terms.teacher_entropy.item() == pytest.approx(teacher_entropy, rel=1e-4, abs=1e-6)
    assert terms.student_entropy.item() == pytest.approx(student_entropy, rel=1e-4)
    assert terms.kl.item() == pytest.approx(loss - teacher_entropy, rel=1e-4, abs=1e-5)
    np.testing.assert_allclose(logits.grad.numpy(), gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_logits_in_half_precision_are_summed_in_single(dtype):
    torch.manual_seed(4)
    student, teacher = torch.randn(12, 512).to(dtype), torch.randn(6, 512).to(dtype)
    half = DINOLoss(512)(student, teacher, 4, 0.04)
    full = DINOLoss(512)(student.float(), teacher.float(), 4, 0.04)
    assert half.loss.dtype == torch.float32
    assert half.loss.item() == full.loss.item()


def test_the_centre_of_several_batches_is_that_of_their_union():
    torch.manual_seed(5)
    logits = torch.randn(12, 7)
    whole, parts = DINOLoss(7), DINOLoss(7)
    whole.update_center(logits)
    means = torch.stack([part.mean(dim=0, keepdim=True) for part in logits.chunk(3)])
    parts.move_center(means.mean(dim=0))
    torch.testing.assert_close(whole.center, parts.center)


def test_a_teacher_view_is_compared_with_every_student_view_but_itself():
    assert counted_pairs(2) == [(0, 1), (1, 0)]
    assert counted_pairs(4) == [(0, 1), (0, 2), (0, 3), (1, 0), (1, 2), (1, 3)]
    for views in range(2, 12):
        assert len(counted_pairs(views)) == 2 * (views - 1)


def test_a_students_own_view_does_not_enter_the_loss():
    torch.manual_seed(0)
    criterion = DINOLoss(8)
    teacher = torch.randn(2, 8)
    student = torch.randn(2, 8, requires_grad=True)
    criterion(student, teacher, 2, 0.04).loss.backward()
    wanted = torch.softmax(student / 0.1, -1).detach() - torch.softmax(teacher / 0.04, -1).flip(0)
    torch.testing.assert_close(student.grad, wanted / 0.1 / 2, rtol=1e-4, atol=1e-6)


def test_no_gradient_reaches_the_teacher():
    teacher = torch.randn(4, 8, requires_grad=True)
    student = torch.randn(6, 8, requires_grad=True)
    terms = DINOLoss(8)(student, teacher, 3, 0.04)
    terms.loss.backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


def test_centre_is_an_ema_of_the_batch_mean_of_teacher_logits():
    criterion = DINOLoss(5, center_momentum=0.9)
    rng = np.random.default_rng(0)
    expected = np.zeros(5)
    for _ in range(4):
        logits = rng.standard_normal((6, 5)).astype(np.float32)
        criterion.update_center(torch.from_numpy(logits))
        expected = 0.9 * expected + 0.1 * logits.mean(axis=0)
    np.testing.assert_allclose(criterion.center[0].numpy(), expected, rtol=1e-5)


def test_centre_momentum_one_leaves_the_centre_at_zero():
    criterion = DINOLoss(5, center_momentum=1.0)
    criterion.update_center(torch.randn(6, 5))
    assert torch.equal(criterion.center, torch.zeros(1, 5))


def test_loss_is_teacher_entropy_plus_kl():
    torch.manual_seed(3)
    terms = DINOLoss(32)(torch.randn(10, 32), torch.randn(4, 32), 5, 0.07)
    assert terms.loss.item() == pytest.approx(terms.teacher_entropy.item() + terms.kl.item())
    assert 0 < terms.teacher_entropy.item() < max_entropy(32)
    assert terms.kl.item() > 0


def test_both_collapses_show_in_entropy_and_kl():
    uniform = DINOLoss(64)(torch.zeros(8, 64), torch.zeros(4, 64), 4, 0.04)
    assert uniform.teacher_entropy.item() == pytest.approx(math.log(64), rel=1e-5)
    assert uniform.kl.item() == pytest.approx(0, abs=1e-5)
    peaked = torch.zeros(8, 64)
    peaked[:, 3] = 10.0
    single = DINOLoss(64)(peaked, peaked[:4], 4, 0.04)
    assert single.teacher_entropy.item() == pytest.approx(0, abs=1e-5)
    assert single.kl.item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(("student", "teacher", "views"), [(6, 4, 2), (5, 4, 3), (2, 2, 1)])
def test_shapes_that_do_not_fit_are_refused(student, teacher, views):
    with pytest.raises(ValueError, match="do not fit"):
        DINOLoss(8)(torch.randn(student, 8), torch.randn(teacher, 8), views, 0.04)


def test_out_of_range_settings_are_refused():
    with pytest.raises(ValueError, match="center_momentum"):
        DINOLoss(8, center_momentum=1.1)
    with pytest.raises(ValueError, match="student_temp"):
        DINOLoss(8, student_temp=0)
