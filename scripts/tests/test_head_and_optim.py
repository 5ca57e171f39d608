"""Projection head, parameter groups, clipping, freezing and the momentum teacher."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from dino_train.head import DINOHead, DINONetwork
from dino_train.optim import (
    cancel_last_layer_gradients,
    clip_gradients,
    param_groups,
    update_teacher,
)
from dino_train.vit import VisionTransformer


def build_network(norm_last_layer: bool = True) -> DINONetwork:
    torch.manual_seed(0)
    backbone = VisionTransformer(8, 32, 2, 2, img_size=16)
    return DINONetwork(backbone, DINOHead(32, 40, norm_last_layer, hidden_dim=48))


def test_last_layer_is_weight_normalised_and_bounded():
    head = build_network().head
    norms = head.last_layer.weight.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(40))
    # Unit prototypes times unit features: logits are cosines.
    logits = head(torch.randn(50, 32) * 100)
    assert logits.shape == (50, 40)
    assert logits.abs().max() <= 1 + 1e-5


def test_scaling_the_direction_weights_changes_nothing():
    head = build_network().head
    x = torch.randn(4, 32)
    before = head(x)
    with torch.no_grad():
        head.last_layer.weight_v.mul_(7.5)
    torch.testing.assert_close(head(x), before)


@pytest.mark.parametrize("norm_last_layer", [True, False])
def test_norm_last_layer_decides_whether_prototype_norms_train(norm_last_layer):
    network = build_network(norm_last_layer)
    assert network.head.last_layer.weight_g.requires_grad is not norm_last_layer


def test_network_has_no_batch_normalisation():
    kinds = {type(m).__name__ for m in build_network().modules()}
    assert not any("BatchNorm" in kind for kind in kinds)


def test_views_keep_their_order_through_the_backbone_passes():
    network = build_network().eval()
    large, small = torch.randn(4, 3, 16, 16), torch.randn(2, 3, 8, 8)
    together = network([large, small])
    for index in range(4):
        alone = network([large[index : index + 1]])
        torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(together[4:5], network([small[:1]]), rtol=1e-4, atol=1e-6)


def test_biases_and_norms_are_not_decayed():
    network = build_network()
    decayed, plain = param_groups(network)
    names = {id(p): n for n, p in network.named_parameters()}
    plain_names = {names[id(p)] for p in plain["params"]}
    assert plain["weight_decay"] == 0.0
    assert {"backbone.norm.weight", "backbone.blocks.0.attn.qkv.bias"} <= plain_names
    assert all(n.endswith(".bias") or "norm" in n for n in plain_names)
    assert all(p.ndim > 1 for p in decayed["params"])
    trainable = sum(p.requires_grad for p in network.parameters())
    assert len(decayed["params"]) + len(plain["params"]) == trainable


def test_clipping_bounds_each_gradient_and_spares_small_ones():
    layer = nn.Linear(10, 10)
    layer.weight.grad = torch.full((10, 10), 5.0)
    layer.bias.grad = torch.full((10,), 0.01)
    small = layer.bias.grad.clone()
    direction = layer.weight.grad / layer.weight.grad.norm()
    clip_gradients(layer, 3.0)
    assert layer.weight.grad.norm().item() == pytest.approx(3.0, rel=1e-4)
    torch.testing.assert_close(layer.weight.grad / layer.weight.grad.norm(), direction)
    assert torch.equal(layer.bias.grad, small)


def test_a_frozen_last_layer_does_not_move_while_the_rest_does():
    network = build_network(norm_last_layer=False)
    before = copy.deepcopy(network.state_dict())
    optimizer = torch.optim.AdamW(param_groups(network), lr=0.1, weight_decay=0.5)
    network([torch.randn(2, 3, 16, 16)]).square().sum().backward()
    cancel_last_layer_gradients(network.head)
    optimizer.step()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]) == ("last_layer" in name), name


def test_teacher_is_an_ema_of_the_student():
    student, teacher = build_network(), build_network()
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.normal_()
    before = copy.deepcopy(teacher.state_dict())
    for _ in range(3):
        update_teacher(teacher, student, 0.8)
    for name, value in teacher.state_dict().items():
        expected = before[name] * 0.8**3 + student.state_dict()[name] * (1 - 0.8**3)
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
