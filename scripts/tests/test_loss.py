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


def paper_loss(student, teacher, center, views, batch, student_temp, teacher_temp):
    """Equations (1), (3) and (4) of the paper, one image and one pair of views at a time."""
    total, pairs = 0.0, 0
    for t in range(2):
        for s in range(views):
            if s == t:
                continue
            pairs += 1
            for i in range(batch):
                p_t = softmax((teacher[t * batch + i] - center) / teacher_temp)
                p_s = softmax(student[s * batch + i] / student_temp)
                total -= float((p_t * np.log(p_s)).sum()) / batch
    return total / pairs


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("views", [2, 3, 6])
@pytest.mark.parametrize("out_dim", [2, 17, 256])
@pytest.mark.parametrize(("student_temp", "teacher_temp"), [(0.1, 0.04), (0.1, 0.07), (0.5, 0.2)])
def test_loss_equals_the_papers_formula(batch, views, out_dim, student_temp, teacher_temp):
    rng = np.random.default_rng((batch, views, out_dim))
    student = rng.standard_normal((views * batch, out_dim))
    teacher = rng.standard_normal((2 * batch, out_dim))
    center = rng.standard_normal(out_dim) * 0.3
    criterion = DINOLoss(out_dim, student_temp).double()
    criterion.center.copy_(torch.from_numpy(center)[None])
    terms = criterion(
        torch.from_numpy(student).float(), torch.from_numpy(teacher).float(), views, teacher_temp
    )
    expected = paper_loss(student, teacher, center, views, batch, student_temp, teacher_temp)
    assert terms.loss.item() == pytest.approx(expected, rel=2e-5)


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
