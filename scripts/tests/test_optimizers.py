"""AdamW, SGD and LARS over several steps, each against its definition in NumPy."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from dino_train.lars import LARS
from dino_train.optim import build_optimizer

STEPS = 6


class Toy(nn.Module):
    """A matrix, a vector and a matrix of zeros, whose norm gives no rate."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(5)
        self.matrix = nn.Parameter(torch.from_numpy(rng.standard_normal((4, 3))))
        self.vector = nn.Parameter(torch.from_numpy(rng.standard_normal(3)))
        self.zeros = nn.Parameter(torch.zeros(2, 2, dtype=torch.float64))


def lars_by_hand(weight, gradients, rates, decays, momentum=0.9, trust=0.001):
    """You et al., algorithm 1, for one tensor; written from the formula, not from the class."""
    velocity = np.zeros_like(weight)
    for gradient, rate, decay in zip(gradients, rates, decays, strict=True):
        update = gradient
        if weight.ndim > 1:
            update = gradient + decay * weight
            norms = np.sqrt((weight**2).sum()), np.sqrt((update**2).sum())
            if min(norms) > 0:
                update = update * (trust * norms[0] / norms[1])
        velocity = momentum * velocity + update
        weight = weight - rate * velocity
    return weight


def sgd_by_hand(weight, gradients, rates, decays):
    velocity = np.zeros_like(weight)
    for gradient, rate, decay in zip(gradients, rates, decays, strict=True):
        velocity = 0.9 * velocity + gradient + (decay * weight if weight.ndim > 1 else 0)
        weight = weight - rate * velocity
    return weight


def adamw_by_hand(weight, gradients, rates, decays):
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    for step, (gradient, rate, decay) in enumerate(zip(gradients, rates, decays, strict=True), 1):
        weight = weight * (1 - rate * (decay if weight.ndim > 1 else 0))
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        unbiased = second / (1 - 0.999**step)
        weight = weight - rate * first / (1 - 0.9**step) / (np.sqrt(unbiased) + 1e-8)
    return weight


@pytest.mark.parametrize(
    ("name", "by_hand"), [("lars", lars_by_hand), ("sgd", sgd_by_hand), ("adamw", adamw_by_hand)]
)
def test_an_optimizer_follows_its_definition_with_rate_and_decay_of_the_schedules(name, by_hand):
    model = Toy()
    start = {key: value.detach().numpy().copy() for key, value in model.named_parameters()}
    rng = np.random.default_rng(6)
    gradients = {
        key: [rng.standard_normal(value.shape) for _ in range(STEPS)]
        for key, value in start.items()
    }
    rates, decays = np.linspace(0.1, 0.5, STEPS), np.linspace(0.04, 0.4, STEPS)
    optimizer = build_optimizer(name, model)
    for step in range(STEPS):
        for index, group in enumerate(optimizer.param_groups):
            group["lr"] = float(rates[step])
            if index == 0:
                group["weight_decay"] = float(decays[step])
        for key, parameter in model.named_parameters():
            parameter.grad = torch.from_numpy(gradients[key][step])
        optimizer.step()
    for key, parameter in model.named_parameters():
        expected = by_hand(start[key], gradients[key], rates, decays)
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-9, err_msg=key)


def test_lars_leaves_a_parameter_without_a_gradient_and_keeps_its_state_for_a_resume():
    model, twin = Toy(), Toy()
    model.vector.grad = torch.ones(3, dtype=torch.float64)
    before = model.matrix.detach().clone()
    optimizer = LARS(model.parameters(), lr=0.1)
    optimizer.step()
    assert torch.equal(model.matrix, before)
    twin.load_state_dict(model.state_dict())
    other = LARS(twin.parameters(), lr=0.1)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    twin.vector.grad = model.vector.grad
    optimizer.step()
    other.step()
    assert torch.equal(model.vector, twin.vector)


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(ValueError, match="unknown optimizer 'adam'; choose from adamw, sgd, lars"):
        build_optimizer("adam", Toy())
