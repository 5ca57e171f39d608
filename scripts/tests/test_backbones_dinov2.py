"""The DINOv2 backbones against the official code's formulas and published sizes."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from dino_train.backbones.dinov2 import VARIANTS, DinoV2, swiglu_width
from dino_train.random_checkpoints import random_network

OUTER = {
    "cls_token", "pos_embed", "mask_token", "patch_embed.proj.weight", "patch_embed.proj.bias",
    "norm.weight", "norm.bias",
}  # fmt: skip
BLOCK = {
    "norm1.weight", "norm1.bias", "attn.qkv.weight", "attn.qkv.bias", "attn.proj.weight",
    "attn.proj.bias", "ls1.gamma", "norm2.weight", "norm2.bias", "ls2.gamma",
}  # fmt: skip
MLP = {"mlp.fc1.weight", "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias"}
GATED = {"mlp.w12.weight", "mlp.w12.bias", "mlp.w3.weight", "mlp.w3.bias"}


@pytest.fixture(params=["dinov2_vits14", "dinov2_vits14_reg", "dinov2_vitg14_reg"])
def network(request: pytest.FixtureRequest) -> DinoV2:
    """A tiny network of each kind with random weights."""
    return random_network(request.param, seed=4, tiny=True)


def official_positions(network: DinoV2, w: int, h: int, offset: float, antialias: bool):
    """vision_transformer.py of facebookresearch/dinov2, with its names (w is the first axis)."""
    count = network.pos_embed.shape[1] - 1
    w0, h0 = w // network.patch_size, h // network.patch_size
    if w0 * h0 == count and w == h:
        return network.pos_embed
    side = math.isqrt(count)
    to = {"size": (w0, h0)}
    if offset:
        to = {"scale_factor": (float(w0 + offset) / side, float(h0 + offset) / side)}
    stored = network.pos_embed[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    patches = F.interpolate(stored, mode="bicubic", antialias=antialias, **to)
    assert patches.shape[-2:] == (w0, h0)
    patches = patches.permute(0, 2, 3, 1).reshape(1, w0 * h0, -1)
    return torch.cat((network.pos_embed[:, :1], patches), dim=1)


@pytest.mark.parametrize("size", [(224, 224), (476, 322), (98, 98), (98, 210), (14, 560)])
def test_positions_are_interpolated_as_in_the_official_code(network, size):
    registers = network.num_register_tokens > 0
    expected = official_positions(network, *size, 0.0 if registers else 0.1, registers)
    actual = network.interpolate_pos_encoding(size[0] // 14, size[1] // 14)
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("dinov2_vits14", 22.1), ("dinov2_vitb14", 86.6), ("dinov2_vitl14", 304.4),
        ("dinov2_vitg14", 1136.5),
    ],
)  # fmt: skip
def test_variants_have_the_published_sizes(name, millions):
    with torch.device("meta"):
        plain, registers = DinoV2(14, **VARIANTS[name]), DinoV2(14, **VARIANTS[f"{name}_reg"])
    sizes = [sum(p.numel() for p in network.parameters()) for network in (plain, registers)]
    assert sizes[0] / 1e6 == pytest.approx(millions, abs=0.06)
    assert sizes[1] == sizes[0] + 4 * plain.embed_dim
    assert plain.pos_embed.shape == (1, 37 * 37 + 1, plain.embed_dim)


def test_weight_names_are_those_of_the_official_checkpoints(network):
    names = set(network.state_dict())
    feed_forward = GATED if network.swiglu else MLP
    blocks = {f"blocks.{i}.{leaf}" for i in range(2) for leaf in BLOCK | feed_forward}
    registers = {"register_tokens"} if network.num_register_tokens else set()
    assert names == OUTER | registers | blocks


def test_gated_layers_are_two_thirds_as_wide_rounded_up_to_eight():
    assert swiglu_width(6144) == 4096
    assert swiglu_width(64) == 48
    assert swiglu_width(24) == 16


def test_a_gated_layer_multiplies_the_second_half_by_the_first_ones_silu():
    mlp = random_network("dinov2_vitg14", seed=1, tiny=True).blocks[0].mlp
    x = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    first = x @ mlp.w12.weight[:48].T + mlp.w12.bias[:48]
    second = x @ mlp.w12.weight[48:].T + mlp.w12.bias[48:]
    expected = (first / (1 + (-first).exp()) * second) @ mlp.w3.weight.T + mlp.w3.bias
    torch.testing.assert_close(mlp(x), expected)


def test_features_leave_registers_out_but_let_them_be_attended_to(network):
    registers = network.num_register_tokens
    images = torch.randn(2, 3, 42, 70, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = network.features(images)
        tokens = network.prepare_tokens(images)
        for block in network.blocks:
            tokens = block(tokens)
        tokens = network.norm(tokens)
    assert tokens.shape == (2, 1 + registers + 15, 16)
    torch.testing.assert_close(features.embedding, tokens[:, 0])
    torch.testing.assert_close(features.patch_tokens, tokens[:, 1 + registers :])
    assert features.keys.shape == (2, 15, 16)
    assert features.attention.shape == (2, 2, 15)
    assert (features.attention.sum(dim=-1) < 1).all()


def test_registers_carry_no_position():
    network = random_network("dinov2_vits14_reg", seed=4, tiny=True)
    with torch.inference_mode():
        tokens = network.prepare_tokens(torch.zeros(1, 3, 28, 28))
    torch.testing.assert_close(tokens[:, 1:5], network.register_tokens, rtol=0, atol=0)


def test_sizes_that_patches_do_not_divide_are_refused(network):
    with pytest.raises(ValueError, match="100x98 is not a multiple of patch size 14"):
        network.features(torch.zeros(1, 3, 100, 98))
