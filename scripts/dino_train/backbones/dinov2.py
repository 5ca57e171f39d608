"""Vision transformers of DINOv2, with or without registers, weight-compatible with its files.

Sources: Oquab et al. 2023 (arXiv:2304.07193), Darcet et al. 2023 (arXiv:2309.16588),
https://github.com/facebookresearch/dinov2/blob/main/dinov2/models/vision_transformer.py and
https://github.com/facebookresearch/dinov2/blob/main/dinov2/hub/backbones.py
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..vit import LAYER_NORM_EPS, Attention, Mlp, PatchEmbed, VitFeatures

# The published models store positions for 518 px, whatever size they saw last in training.
NATIVE_GRID = 37
PATCH_SIZE = 14

_SIZES: dict[str, dict[str, int]] = {
    "dinov2_vits14": {"embed_dim": 384, "depth": 12, "num_heads": 6},
    "dinov2_vitb14": {"embed_dim": 768, "depth": 12, "num_heads": 12},
    "dinov2_vitl14": {"embed_dim": 1024, "depth": 24, "num_heads": 16},
    "dinov2_vitg14": {"embed_dim": 1536, "depth": 40, "num_heads": 24, "swiglu": True},
}
# By the names of the published entry points.
VARIANTS = _SIZES | {
    f"{name}_reg": sizes | {"num_register_tokens": 4} for name, sizes in _SIZES.items()
}


class LayerScale(nn.Module):
    """Multiplies each channel by a learned number (Touvron et al. 2021, arXiv:2103.17239)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


def swiglu_width(hidden_dim: int, align_to: int = 8) -> int:
    """Inner width of a SwiGLU layer in place of an MLP of hidden_dim: two thirds, rounded up."""
    return -(-int(hidden_dim * 2 / 3) // align_to) * align_to


class SwiGluJoint(nn.Module):
    """Gated feed-forward layer (Shazeer 2020, arXiv:2002.05202), one projection for both inputs."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.w12 = nn.Linear(dim, 2 * width)
        self.w3 = nn.Linear(width, dim)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.w12(x).chunk(2, dim=-1)
        return self.w3(F.silu(gate) * value)


class Block(nn.Module):
    """Pre-norm transformer block whose residual branches are scaled per channel."""

    def __init__(self, dim: int, num_heads: int, swiglu: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attn = Attention(dim, num_heads)
        self.ls1 = LayerScale(dim)
        self.norm2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.mlp = SwiGluJoint(dim, swiglu_width(dim * 4)) if swiglu else Mlp(dim, dim * 4)
        self.ls2 = LayerScale(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class DinoV2(nn.Module):
    """ViT backbone of DINOv2.

    Registers stand between the CLS token and the patches and carry no position. Positions are
    interpolated as the published models' entry points do: without registers as in DINO v1 (bicubic
    by scale factors that hold a `+ 0.1`), with registers to the exact size and antialiased.

    Args:
        patch_size: side of a patch in pixels (14).
        embed_dim: token dimension D, a multiple of num_heads.
        depth: number of blocks.
        num_heads: attention heads per block.
        num_register_tokens: 0, or 4 in the published models with registers.
        swiglu: a SwiGLU layer instead of the MLP, as in ViT-g.
        native_grid: side in patches of the square the positional embedding is stored for.
    """

    def __init__(
        self,
        patch_size: int,
        embed_dim: int,
        depth: int,
        num_heads: int,
        num_register_tokens: int = 0,
        swiglu: bool = False,
        native_grid: int = NATIVE_GRID,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.patch_size = patch_size
        self.num_register_tokens = num_register_tokens
        self.swiglu = swiglu
        self.native_grid = native_grid
        self.patch_embed = PatchEmbed(patch_size, embed_dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, native_grid**2 + 1, embed_dim))
        if num_register_tokens:
            self.register_tokens = nn.Parameter(torch.zeros(1, num_register_tokens, embed_dim))
        # Published with the weights, used in training only.
        self.mask_token = nn.Parameter(torch.zeros(1, embed_dim))
        self.blocks = nn.ModuleList(Block(embed_dim, num_heads, swiglu) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dim, eps=LAYER_NORM_EPS)

    def interpolate_pos_encoding(self, grid_height: int, grid_width: int) -> Tensor:
        """Positional embedding [1, 1 + grid_height * grid_width, D] for a grid of patches."""
        native = self.native_grid
        if grid_height == grid_width == native:
            return self.pos_embed
        patches = self.pos_embed[:, 1:].reshape(1, native, native, -1).permute(0, 3, 1, 2)
        if self.num_register_tokens:
            patches = F.interpolate(
                patches, size=(grid_height, grid_width), mode="bicubic", antialias=True
            )
        else:
            scale = ((grid_height + 0.1) / native, (grid_width + 0.1) / native)
            patches = F.interpolate(patches, scale_factor=scale, mode="bicubic")
        return torch.cat((self.pos_embed[:, :1], patches.flatten(2).transpose(1, 2)), dim=1)

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
        tokens = torch.cat((self.cls_token.expand(batch, -1, -1), self.patch_embed(x)), dim=1)
        tokens = tokens + self.interpolate_pos_encoding(
            height // self.patch_size, width // self.patch_size
        )
        if not self.num_register_tokens:
            return tokens
        registers = self.register_tokens.expand(batch, -1, -1)
        return torch.cat((tokens[:, :1], registers, tokens[:, 1:]), dim=1)

    def features(self, x: Tensor) -> VitFeatures:
        """Computes all outputs of the exported model for images [B, 3, H, W].

        The embedding is the authors' x_norm_clstoken, the patch tokens are x_norm_patchtokens. The
        attention's softmax runs over all tokens, registers included.
        """
        registers = self.num_register_tokens
        x = self.prepare_tokens(x)
        for block in self.blocks[:-1]:
            x = block(x)
        last = self.blocks[-1]
        attention, keys = last.attn.cls_attention_and_keys(last.norm1(x))
        x = self.norm(last(x))
        return VitFeatures(
            x[:, 0], x[:, 1 + registers :], attention[:, :, registers:], keys[:, registers:]
        )
