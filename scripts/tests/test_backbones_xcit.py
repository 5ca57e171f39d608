"""XCiT against the authors' formulas."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dino_train.backbones.xcit import XCiT, build_xcit
from dino_train.random_checkpoints import random_network


@pytest.fixture(params=[8, 16])
def network(request: pytest.FixtureRequest) -> XCiT:
    """A tiny network of each patch size with random weights."""
    return random_network("xcit_small_12", request.param, seed=2, tiny=True)


@pytest.fixture
def tokens() -> Tensor:
    """[2, 15, 16]: a grid of 3 x 5."""
    return torch.randn(2, 15, 16, generator=torch.manual_seed(0))


def image(network: XCiT, rows: int, columns: int) -> Tensor:
    size = rows * network.patch_size, columns * network.patch_size
    return torch.randn(2, 3, *size, generator=torch.manual_seed(1))


def test_positions_are_waves_of_the_relative_row_and_column(network):
    projection = network.pos_embeder.token_projection
    encoded = network.pos_embeder(3, 5)
    weight = projection.weight.detach()[:, :, 0, 0].double()
    for row, column in [(0, 0), (1, 3), (2, 4)]:
        waves = []
        for place, count in [(row + 1, 3), (column + 1, 5)]:
            angle = place / (count + 1e-6) * 2 * math.pi
            for index in range(32):
                phase = angle / 10000 ** (2 * (index // 2) / 32)
                waves.append(math.cos(phase) if index % 2 else math.sin(phase))
        expected = weight @ torch.tensor(waves, dtype=torch.float64) + projection.bias.double()
        actual = encoded[0, :, row, column].double()
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def test_the_stem_halves_and_doubles(network):
    grid = network.patch_embed(image(network, 3, 5))
    assert grid.shape == (2, 16, 3, 5)
    convolutions = [m for m in network.patch_embed.modules() if isinstance(m, torch.nn.Conv2d)]
    widths = [c.out_channels for c in convolutions]
    assert widths == {8: [4, 8, 16], 16: [2, 4, 8, 16]}[network.patch_size]


def test_channels_of_a_head_attend_to_each_other(network, tokens):
    attention = network.blocks[0].attn
    q, k, v = attention.qkv(tokens).reshape(2, 15, 3, 2, 8).unbind(2)
    out = torch.empty(2, 15, 2, 8)
    for head in range(2):
        queries, keys = (F.normalize(part[:, :, head], dim=1, eps=1e-12) for part in (q, k))
        scores = torch.einsum("bni,bnj->bij", queries, keys) * attention.temperature[head]
        out[:, :, head] = torch.einsum("bij,bnj->bni", scores.softmax(-1), v[:, :, head])
    torch.testing.assert_close(attention(tokens), attention.proj(out.flatten(2)))


def test_local_interaction_sees_neighbours_of_the_grid_alone(network, tokens):
    local = network.blocks[0].local_mp
    changed = tokens.clone()
    changed[:, 0] += 1
    difference = (local(changed, 3, 5) - local(tokens, 3, 5)).abs().amax(dim=(0, 2))
    # Two convolutions reach two rows and columns far.
    reached = {row * 5 + column for row in range(3) for column in range(3)}
    assert {i for i, value in enumerate(difference.tolist()) if value > 0} == reached


def test_class_attention_blocks_norm_the_patches_as_the_official_code_does(network, tokens):
    block = network.cls_attn_blocks[0]
    out, attention, keys = block(tokens)
    # Its words: x + gamma1 * attn(norm1(x)), where attn hands the patches through; x = norm2(x);
    # x + [gamma2 * mlp(cls), patches].
    patches = block.norm2(tokens + block.gamma1 * block.norm1(tokens))[:, 1:]
    torch.testing.assert_close(out[:, 1:], 2 * patches)
    torch.testing.assert_close(attention.sum(dim=-1), torch.ones(2, 2))
    expected = F.linear(block.norm1(tokens), *(p[16:32] for p in block.attn.qkv.parameters()))
    torch.testing.assert_close(keys, expected)


def test_the_attention_leaves_out_what_cls_gives_itself(network):
    features = network.features(image(network, 3, 5))
    assert features.attention.shape == (2, 2, 15)
    assert features.keys.shape == features.patch_tokens.shape == (2, 15, 16)
    assert (features.attention.sum(dim=-1) < 1).all()
    torch.testing.assert_close(network(image(network, 3, 5)), features.embedding)


@pytest.mark.parametrize(
    ("arch", "patch_size", "millions"),
    # Without their classifiers of 1000 classes.
    [
        ("xcit_small_12", 16, 25.87), ("xcit_small_12", 8, 25.83),
        ("xcit_medium_24", 16, 83.88), ("xcit_medium_24", 8, 83.81),
    ],
)  # fmt: skip
def test_variants_have_the_published_sizes(arch, patch_size, millions):
    with torch.device("meta"):
        network = build_xcit(arch, patch_size)
    parameters = sum(p.numel() for p in network.parameters())
    assert parameters / 1e6 == pytest.approx(millions, abs=0.01)


def test_weight_names_are_those_of_the_official_checkpoints():
    with torch.device("meta"):
        names = set(build_xcit("xcit_small_12", 16).state_dict())
    assert {
        "cls_token", "patch_embed.proj.0.0.weight", "patch_embed.proj.6.1.running_var",
        "pos_embeder.token_projection.weight", "blocks.0.attn.temperature", "blocks.0.gamma3",
        "blocks.11.local_mp.bn.running_mean", "blocks.11.norm3.bias", "blocks.0.mlp.fc1.weight",
        "cls_attn_blocks.1.attn.qkv.bias", "cls_attn_blocks.1.gamma2", "norm.weight",
    } <= names  # fmt: skip
    stem, block, class_block = 4 * 6, 27, 14
    assert len(names) == 1 + stem + 2 + 12 * block + 2 * class_block + 2


def test_layer_scales_start_from_eta():
    network = XCiT(16, 16, 1, 2, eta=0.25)
    scales = [value for name, value in network.named_parameters() if "gamma" in name]
    assert len(scales) == 3 + 2 * 2
    assert all((scale == 0.25).all() for scale in scales)


def test_every_parameter_learns(network):
    network.train()
    network(image(network, 3, 5)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name


@pytest.mark.parametrize(("arch", "patch_size"), [("xcit_huge", 16), ("xcit_small_12", 14)])
def test_unknown_variants_are_refused(arch, patch_size):
    with pytest.raises(ValueError, match=r"unknown arch|must be 8 or 16"):
        build_xcit(arch, patch_size)


def test_an_image_that_is_no_multiple_of_the_patch_size_is_refused(network):
    with pytest.raises(ValueError, match="is not a multiple of patch size"):
        network(torch.zeros(1, 3, network.patch_size * 2, network.patch_size + 4))
