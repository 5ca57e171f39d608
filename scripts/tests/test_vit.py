"""The backbone against the official code's formulas."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from dino_train.vit import VARIANTS, DropPath, VisionTransformer, build_vit


def official_positions(vit: VisionTransformer, height: int, width: int) -> torch.Tensor:
    """vision_transformer.py of facebookresearch/dino, with its names (w is the first axis)."""
    npatch = (height // vit.patch_size) * (width // vit.patch_size)
    count = vit.pos_embed.shape[1] - 1
    if npatch == count and height == width:
        return vit.pos_embed
    class_pos_embed = vit.pos_embed[:, 0]
    patch_pos_embed = vit.pos_embed[:, 1:]
    dim = vit.pos_embed.shape[-1]
    w0, h0 = height // vit.patch_size + 0.1, width // vit.patch_size + 0.1
    side = int(math.sqrt(count))
    patch_pos_embed = F.interpolate(
        patch_pos_embed.reshape(1, side, side, dim).permute(0, 3, 1, 2),
        scale_factor=(w0 / math.sqrt(count), h0 / math.sqrt(count)),
        mode="bicubic",
    )
    assert int(w0) == patch_pos_embed.shape[-2]
    assert int(h0) == patch_pos_embed.shape[-1]
    patch_pos_embed = patch_pos_embed.permute(0, 2, 3, 1).view(1, -1, dim)
    return torch.cat((class_pos_embed.unsqueeze(0), patch_pos_embed), dim=1)


@pytest.mark.parametrize(
    ("height", "width"), [(96, 96), (48, 48), (224, 224), (96, 112), (64, 144), (144, 64)]
)
def test_positions_are_interpolated_as_in_the_official_code(vit, height, width):
    actual = vit.interpolate_pos_encoding(height // 16, width // 16)
    torch.testing.assert_close(actual, official_positions(vit, height, width))


@pytest.mark.parametrize(
    ("arch", "millions"),
    [("vit_micro", 1.3), ("vit_tiny", 5.5), ("vit_small", 21.7), ("vit_base", 85.8)],
)
def test_variants_have_the_published_sizes(arch, millions):
    parameters = sum(p.numel() for p in build_vit(arch, 16).parameters())
    assert parameters / 1e6 == pytest.approx(millions, abs=0.1)


def test_weight_names_are_those_of_the_official_checkpoints():
    names = set(build_vit("vit_tiny", 16).state_dict())
    assert {
        "cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias",
        "blocks.0.norm1.weight", "blocks.0.attn.qkv.bias", "blocks.0.attn.proj.weight",
        "blocks.11.norm2.bias", "blocks.11.mlp.fc1.weight", "blocks.11.mlp.fc2.bias",
        "norm.weight", "norm.bias",
    } <= names  # fmt: skip
    assert len(names) == 4 + 12 * VARIANTS["vit_tiny"]["depth"] + 2


def test_linear_layers_start_with_the_official_initialisation():
    vit = build_vit("vit_tiny", 16)
    qkv = vit.blocks[0].attn.qkv
    assert qkv.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert torch.count_nonzero(qkv.bias) == 0
    assert vit.norm.eps == 1e-6


@torch.no_grad()
def test_features_agree_with_the_forward_pass_and_with_explicit_attention(vit):
    x = torch.randn(2, 3, 80, 112)
    features = vit.features(x)
    torch.testing.assert_close(features.embedding, vit(x))
    assert features.patch_tokens.shape == (2, 35, 48)
    assert features.keys.shape == (2, 35, 48)
    assert features.attention.shape == (2, 3, 35)
    tokens = vit.prepare_tokens(x)
    for block in vit.blocks[:-1]:
        tokens = block(tokens)
    last = vit.blocks[-1]
    qkv = last.attn.qkv(last.norm1(tokens)).reshape(2, 36, 3, 3, 16).permute(2, 0, 3, 1, 4)
    weights = (qkv[0] @ qkv[1].transpose(-1, -2) / 4).softmax(-1)
    torch.testing.assert_close(features.attention, weights[:, :, 0, 1:])
    # CLS keeps its share, so the patches' shares stay below one.
    own = weights[:, :, 0, 0]
    torch.testing.assert_close(features.attention.sum(-1) + own, torch.ones(2, 3))
    keys = qkv[1].transpose(1, 2).reshape(2, 36, 48)[:, 1:]
    torch.testing.assert_close(features.keys, keys)


@pytest.mark.parametrize("shape", [(95, 96), (96, 100), (0, 96)])
def test_sizes_that_are_no_multiple_of_the_patch_are_refused(vit, shape):
    with pytest.raises(ValueError, match="not a multiple"):
        vit(torch.zeros(1, 3, *shape))


def test_unknown_architectures_are_refused():
    with pytest.raises(ValueError, match="vit_huge"):
        build_vit("vit_huge", 16)
    with pytest.raises(ValueError, match="patch_size"):
        build_vit("vit_tiny", 14)


def test_stochastic_depth_drops_whole_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    layer = DropPath(0.25)
    out = layer(torch.ones(4000, 3))
    assert sorted(out.unique().tolist()) == pytest.approx([0.0, 4 / 3])
    assert torch.equal(out[:, 0], out[:, 2])
    assert out.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(layer.eval()(out), out)
