"""The DINOv3 backbones against the official code's formulas and published sizes."""

from __future__ import annotations

import cmath
import math

import pytest
import torch

from dino_train.backbones.dinov3 import VARIANTS, DinoV3, RotaryPositions, rotate
from dino_train.random_checkpoints import random_network

OUTER = {
    "cls_token", "storage_tokens", "mask_token", "rope_embed.periods", "patch_embed.proj.weight",
    "patch_embed.proj.bias", "norm.weight", "norm.bias",
}  # fmt: skip
BLOCK = {
    "norm1.weight", "norm1.bias", "attn.qkv.weight", "attn.qkv.bias", "attn.qkv.bias_mask",
    "attn.proj.weight", "attn.proj.bias", "ls1.gamma", "norm2.weight", "norm2.bias", "ls2.gamma",
}  # fmt: skip
MLP = {f"mlp.{layer}.{leaf}" for layer in ("fc1", "fc2") for leaf in ("weight", "bias")}
GATED = {f"mlp.{layer}.{leaf}" for layer in ("w1", "w2", "w3") for leaf in ("weight", "bias")}


@pytest.fixture
def network() -> DinoV3:
    """A tiny network with random weights and two heads of width 8."""
    return random_network("dinov3_vits16", seed=4, tiny=True)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("dinov3_vits16", 21.6), ("dinov3_vits16plus", 28.7), ("dinov3_vitb16", 85.7),
        ("dinov3_vitl16", 303.1), ("dinov3_vith16plus", 840.6), ("dinov3_vit7b16", 6716.0),
    ],
)  # fmt: skip
def test_variants_have_the_published_sizes(name, millions):
    with torch.device("meta"):
        network = DinoV3(16, **VARIANTS[name])
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, rel=2e-3)


def test_weight_names_are_those_of_the_official_checkpoints(network):
    blocks = {f"blocks.{i}.{leaf}" for i in range(2) for leaf in BLOCK | MLP}
    assert set(network.state_dict()) == OUTER | blocks


def test_the_largest_has_a_gated_layer_no_qkv_bias_and_a_norm_for_training():
    with torch.device("meta"):
        network = DinoV3(16, **VARIANTS["dinov3_vit7b16"] | {"depth": 1})
    norms = {"local_cls_norm.weight", "local_cls_norm.bias"}
    leaves = (BLOCK | GATED) - {"attn.qkv.bias", "attn.qkv.bias_mask"}
    assert set(network.state_dict()) == OUTER | norms | {f"blocks.0.{leaf}" for leaf in leaves}
    assert network.blocks[0].mlp.w1.out_features == 8192
    assert network.rope_embed.periods.shape == (32,)


def test_periods_are_powers_of_one_hundred():
    periods = RotaryPositions(64).periods
    expected = [100 ** (4 * i / 64) for i in range(16)]
    torch.testing.assert_close(periods, torch.tensor(expected))


def test_patches_are_turned_by_their_place_and_other_tokens_are_not():
    rows, columns, head_dim, first = 3, 5, 8, 2
    positions = RotaryPositions(head_dim)
    x = torch.randn(
        1, 1, first + rows * columns, head_dim, generator=torch.Generator().manual_seed(0)
    )
    turned = rotate(x, *positions(rows, columns))
    torch.testing.assert_close(turned[:, :, :first], x[:, :, :first], rtol=0, atol=0)
    for row in range(rows):
        for column in range(columns):
            token = first + row * columns + column
            places = (2 * (row + 0.5) / rows - 1, 2 * (column + 0.5) / columns - 1)
            for channel in range(head_dim // 2):
                axis, period = divmod(channel, head_dim // 4)
                angle = 2 * math.pi * places[axis] / positions.periods[period].item()
                before = complex(x[0, 0, token, channel], x[0, 0, token, channel + head_dim // 2])
                after = before * cmath.exp(1j * angle)
                actual = turned[0, 0, token, [channel, channel + head_dim // 2]].tolist()
                assert actual == pytest.approx([after.real, after.imag], abs=1e-5)


def test_the_bias_of_the_keys_is_masked(network):
    keys = slice(16, 32)
    attention = network.blocks[0].attn
    assert attention.qkv.bias_mask.tolist() == [1] * 16 + [0] * 16 + [1] * 16
    x = torch.randn(1, 4, 16, generator=torch.Generator().manual_seed(0))
    before = attention.qkv(x)
    with torch.no_grad():
        attention.qkv.bias[keys] = 1e6
    torch.testing.assert_close(attention.qkv(x), before, rtol=0, atol=0)


def test_stored_periods_count_and_not_what_the_base_gives(network):
    images = torch.randn(1, 3, 48, 80, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = network.features(images).embedding
        network.rope_embed.periods *= 1.5
        after = network.features(images).embedding
    assert (after - before).abs().max() > 1e-2


def test_features_leave_registers_out_and_keys_are_not_turned(network):
    images = torch.randn(2, 3, 48, 80, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = network.features(images)
        sin, cos = network.rope_embed(3, 5)
        tokens = network.prepare_tokens(images)
        tokens = network.blocks[0](tokens, sin, cos)
        normed = network.blocks[1].norm1(tokens)
        keys = normed @ network.blocks[1].attn.qkv.weight[16:32].T
        tokens = network.norm(network.blocks[1](tokens, sin, cos))
    torch.testing.assert_close(features.embedding, tokens[:, 0])
    torch.testing.assert_close(features.patch_tokens, tokens[:, 5:])
    torch.testing.assert_close(features.keys, keys[:, 5:])
    assert features.attention.shape == (2, 2, 15)
    assert (features.attention.sum(dim=-1) < 1).all()


def test_untied_norms_give_the_embedding_a_norm_of_its_own():
    network = random_network("dinov3_vits16", seed=4, tiny=True, untie_norms=True)
    images = torch.zeros(1, 3, 32, 32)
    with torch.inference_mode():
        features = network.features(images)
        network.cls_norm.weight *= 2
        network.cls_norm.bias *= 2
        again = network.features(images)
    torch.testing.assert_close(again.embedding, features.embedding * 2)
    torch.testing.assert_close(again.patch_tokens, features.patch_tokens, rtol=0, atol=0)


def test_sizes_that_patches_do_not_divide_are_refused(network):
    with pytest.raises(ValueError, match="100x96 is not a multiple of patch size 16"):
        network.features(torch.zeros(1, 3, 100, 96))
