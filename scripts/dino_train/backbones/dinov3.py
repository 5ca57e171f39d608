"""Vision transformers of DINOv3, weight-compatible with its files.

Sources: Siméoni et al. 2025 (arXiv:2508.10104),
https://github.com/facebookresearch/dinov3/blob/main/dinov3/models/vision_transformer.py,
https://github.com/facebookresearch/dinov3/blob/main/dinov3/layers/rope_position_encoding.py and
https://github.com/facebookresearch/dinov3/blob/main/dinov3/hub/backbones.py
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..vit import Mlp, PatchEmbed, VitFeatures
from .dinov2 import LayerScale, swiglu_width

# Not the 1e-6 of the earlier models.
LAYER_NORM_EPS = 1e-5
ROPE_BASE = 100.0
PATCH_SIZE = 16

# By the names of the published entry points. `swiglu` is the multiple that the gated layer's width
# is rounded up to; 0 is a plain MLP.
_PLUS = {"ffn_ratio": 6, "swiglu": 8}
VARIANTS: dict[str, dict[str, int]] = {
    "dinov3_vits16": {"embed_dim": 384, "depth": 12, "num_heads": 6},
    "dinov3_vits16plus": {"embed_dim": 384, "depth": 12, "num_heads": 6, **_PLUS},
    "dinov3_vitb16": {"embed_dim": 768, "depth": 12, "num_heads": 12},
    "dinov3_vitl16": {"embed_dim": 1024, "depth": 24, "num_heads": 16},
    "dinov3_vitl16plus": {"embed_dim": 1024, "depth": 24, "num_heads": 16, **_PLUS},
    "dinov3_vith16plus": {"embed_dim": 1280, "depth": 32, "num_heads": 20, **_PLUS},
    "dinov3_vit7b16": {
        "embed_dim": 4096,
        "depth": 40,
        "num_heads": 32,
        "ffn_ratio": 3,
        "swiglu": 64,
        "qkv_bias": False,
        "local_cls_norm": True,
    },
}


class RotaryPositions(nn.Module):
    """Angles of an axial rotary position embedding; nothing in it is learned.

    The periods are a buffer of the checkpoint: what is stored counts, not what the base gives.
    """

    def __init__(self, head_dim: int, base: float = ROPE_BASE) -> None:
        super().__init__()
        exponents = 2 * torch.arange(head_dim // 4, dtype=torch.float32) / (head_dim // 2)
        self.register_buffer("periods", base**exponents)

    def forward(self, grid_height: int, grid_width: int) -> tuple[Tensor, Tensor]:
        """Sine and cosine, each [h*w, head_dim].

        A patch lies at its centre, each axis scaled to [-1, 1] whatever the other's length. Rows
        give the first quarter of the angles and columns the second; the halves are equal.
        """
        rows = 2 * (torch.arange(0.5, grid_height) / grid_height) - 1
        columns = 2 * (torch.arange(0.5, grid_width) / grid_width) - 1
        centres = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).flatten(0, 1)
        angles = 2 * math.pi * centres[:, :, None] / self.periods
        angles = angles.flatten(1).tile(2)
        return angles.sin(), angles.cos()


def rotate(x: Tensor, sin: Tensor, cos: Tensor) -> Tensor:
    """Rotates the last tokens of x [B, heads, N, d] by angles [n, d]; the first N - n stay."""
    first = x.shape[-2] - sin.shape[-2]
    kept, turned = x[:, :, :first], x[:, :, first:]
    left, right = turned.chunk(2, dim=-1)
    turned = turned * cos + torch.cat((-right, left), dim=-1) * sin
    return torch.cat((kept, turned), dim=-2)


class MaskedBiasLinear(nn.Linear):
    """The qkv projection: its bias counts where `bias_mask` is 1 (0 for the keys)."""

    def __init__(self, dim: int, bias: bool) -> None:
        super().__init__(dim, dim * 3, bias=bias)
        if bias:
            mask = torch.ones(3, dim)
            mask[1] = 0
            self.register_buffer("bias_mask", mask.flatten())

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, None if self.bias is None else self.bias * self.bias_mask)


class RotaryAttention(nn.Module):
    """Multi-head self-attention whose queries and keys of patches are rotated."""

    def __init__(self, dim: int, num_heads: int, qkv_bias: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = dim // num_heads
        self.qkv = MaskedBiasLinear(dim, qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def project_qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each [B, heads, N, D/heads], before the rotation."""
        batch, tokens, _ = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def forward(self, x: Tensor, sin: Tensor, cos: Tensor) -> Tensor:
        q, k, v = self.project_qkv(x)
        out = F.scaled_dot_product_attention(rotate(q, sin, cos), rotate(k, sin, cos), v)
        return self.proj(out.transpose(1, 2).reshape(x.shape))


class SwiGlu(nn.Module):
    """Gated feed-forward layer with separate projections of gate (w1) and value (w2)."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(dim, width)
        self.w2 = nn.Linear(dim, width)
        self.w3 = nn.Linear(width, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.w3(F.silu(self.w1(x)) * self.w2(x))


class RotaryBlock(nn.Module):
    """Pre-norm transformer block whose residual branches are scaled per channel."""

    def __init__(
        self, dim: int, num_heads: int, ffn_ratio: int, swiglu: int, qkv_bias: bool
    ) -> None:
        super().__init__()
        hidden = dim * ffn_ratio
        self.norm1 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attn = RotaryAttention(dim, num_heads, qkv_bias)
        self.ls1 = LayerScale(dim)
        self.norm2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.mlp = SwiGlu(dim, swiglu_width(hidden, swiglu)) if swiglu else Mlp(dim, hidden)
        self.ls2 = LayerScale(dim)

    def forward(self, x: Tensor, sin: Tensor, cos: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x), sin, cos))
        return x + self.ls2(self.mlp(self.norm2(x)))


class DinoV3(nn.Module):
    """ViT backbone of DINOv3.

    Args:
        patch_size: side of a patch in pixels (16).
        embed_dim: token dimension D; a head's width must be a multiple of 4.
        depth: number of blocks.
        num_heads: attention heads per block.
        ffn_ratio: width of the feed-forward layer in D, before SwiGLU takes two thirds of it.
        swiglu: multiple that a SwiGLU layer's width is rounded up to; 0 is a plain MLP.
        qkv_bias: whether the qkv projection has a (masked) bias.
        num_storage_tokens: registers between the CLS token and the patches.
        local_cls_norm: whether a norm that only training uses stands in the checkpoint.
        untie_norms: whether CLS token and registers have a last norm of their own, `cls_norm`.
    """

    def __init__(
        self,
        patch_size: int,
        embed_dim: int,
        depth: int,
        num_heads: int,
        ffn_ratio: int = 4,
        swiglu: int = 0,
        qkv_bias: bool = True,
        num_storage_tokens: int = 4,
        local_cls_norm: bool = False,
        untie_norms: bool = False,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.patch_size = patch_size
        self.num_storage_tokens = num_storage_tokens
        self.patch_embed = PatchEmbed(patch_size, embed_dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        if num_storage_tokens:
            self.storage_tokens = nn.Parameter(torch.zeros(1, num_storage_tokens, embed_dim))
        # Published with the weights, used in training only.
        self.mask_token = nn.Parameter(torch.zeros(1, embed_dim))
        self.rope_embed = RotaryPositions(embed_dim // num_heads)
        self.blocks = nn.ModuleList(
            RotaryBlock(embed_dim, num_heads, ffn_ratio, swiglu, qkv_bias) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=LAYER_NORM_EPS)
        self.cls_norm = nn.LayerNorm(embed_dim, eps=LAYER_NORM_EPS) if untie_norms else None
        if local_cls_norm:
            self.local_cls_norm = nn.LayerNorm(embed_dim, eps=LAYER_NORM_EPS)

    def prepare_tokens(self, x: Tensor) -> Tensor:
        """Turns normalised images [B, 3, H, W] into tokens [B, 1 + registers + h*w, D].

        Raises:
            ValueError: if H or W is not a multiple of the patch size.
        """
        batch, _, height, width = x.shape
        if height % self.patch_size or width % self.patch_size or not height or not width:
            raise ValueError(
                f"image size {height}x{width} is not a multiple of patch size {self.patch_size}"
            )
        first = (
            [self.cls_token, self.storage_tokens] if self.num_storage_tokens else [self.cls_token]
        )
        return torch.cat([*(t.expand(batch, -1, -1) for t in first), self.patch_embed(x)], dim=1)

    def features(self, x: Tensor) -> VitFeatures:
        """Computes all outputs of the exported model for images [B, 3, H, W].

        The embedding is the authors' x_norm_clstoken, the patch tokens are x_norm_patchtokens. The
        attention's softmax runs over all tokens, registers included. The keys are taken before
        their rotation: what a patch shows, not where it lies, is what they are compared by.
        """
        sin, cos = self.rope_embed(x.shape[2] // self.patch_size, x.shape[3] // self.patch_size)
        first = 1 + self.num_storage_tokens
        x = self.prepare_tokens(x)
        for block in self.blocks[:-1]:
            x = block(x, sin, cos)
        last = self.blocks[-1]
        q, k, _ = last.attn.project_qkv(last.norm1(x))
        keys = k.transpose(1, 2).flatten(2)[:, first:]
        scores = rotate(q, sin, cos)[:, :, :1] @ rotate(k, sin, cos).transpose(-2, -1)
        attention = (scores * last.attn.head_dim**-0.5).softmax(dim=-1)[:, :, 0, first:]
        x = last(x, sin, cos)
        embedding = (self.cls_norm or self.norm)(x[:, 0])
        return VitFeatures(embedding, self.norm(x[:, first:]), attention, keys)
