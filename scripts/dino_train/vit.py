"""Vision transformer backbone, weight-compatible with facebookresearch/dino.

Source: https://github.com/facebookresearch/dino/blob/main/vision_transformer.py
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYER_NORM_EPS = 1e-6

# The authors' names and sizes, and a micro one of ours that a CPU trains in hours.
VARIANTS: dict[str, dict[str, int]] = {
    "vit_micro": {"embed_dim": 128, "depth": 6, "num_heads": 4},
    "vit_tiny": {"embed_dim": 192, "depth": 12, "num_heads": 3},
    "vit_small": {"embed_dim": 384, "depth": 12, "num_heads": 6},
    "vit_base": {"embed_dim": 768, "depth": 12, "num_heads": 12},
}


@dataclass(frozen=True)
class VitFeatures:
    """Everything the exported model answers, for a batch of B images of h x w patches.

    Attributes:
        embedding: [B, D] CLS token after the last LayerNorm.
        patch_tokens: [B, h*w, D] patch tokens after the last LayerNorm.
        attention: [B, heads, h*w] attention of the CLS query in the last block. The softmax runs
            over all tokens, so a head's values sum to 1 minus what CLS gives to itself.
        keys: [B, h*w, D] key features of the last block, heads concatenated.
    """

    embedding: Tensor
    patch_tokens: Tensor
    attention: Tensor
    keys: Tensor


class DropPath(nn.Module):
    """Stochastic depth per sample (Huang et al. 2016, arXiv:1603.09382).

    Args:
        probability: chance in [0, 1) that a sample skips the residual branch while training.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0.0 <= probability < 1.0:
            raise ValueError(f"drop path probability must be in [0, 1), got {probability}")
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        if self.probability == 0.0 or not self.training:
            return x
        keep = 1.0 - self.probability
        mask = torch.rand(x.shape[0], *([1] * (x.ndim - 1)), device=x.device) < keep
        return x * mask.to(x.dtype) / keep


class Attention(nn.Module):
    """Multi-head self-attention with a joint, biased qkv projection."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = dim // num_heads
        self.qkv = nn.Linear(dim, dim * 3, bias=True)
        self.proj = nn.Linear(dim, dim)

    def project_qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Splits tokens [B, N, D] into queries, keys and values, each [B, heads, N, D/heads]."""
        batch, tokens, _ = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project_qkv(x)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).reshape(x.shape))

    def cls_attention_and_keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the CLS query's attention [B, heads, N-1] and the keys [B, N-1, D] of patches."""
        q, k, _ = self.project_qkv(x)
        scores = (q[:, :, :1] @ k.transpose(-2, -1)) * self.head_dim**-0.5
        attention = scores.softmax(dim=-1)[:, :, 0, 1:]
        keys = k.transpose(1, 2).reshape(x.shape)[:, 1:]
        return attention, keys


class Mlp(nn.Module):
    """Transformer feed-forward layer with exact (erf) GELU."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm transformer block with stochastic depth on both residual branches."""

    def __init__(self, dim: int, num_heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attn = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(dim, dim * 4)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    """Cuts images into non-overlapping patches and projects each to the embedding dimension."""

    def __init__(self, patch_size: int, embed_dim: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(3, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """ViT backbone f of DINO: images to the CLS token after the last LayerNorm.

    Args:
        patch_size: side of a patch in pixels (8 or 16).
        embed_dim: token dimension D, a multiple of num_heads.
        depth: number of blocks.
        num_heads: attention heads per block.
        img_size: side in pixels of the square the positional embedding is stored for; other sizes
            are interpolated. A multiple of patch_size.
        drop_path_rate: stochastic depth of the last block in [0, 1), growing linearly from 0.

    Raises:
        ValueError: if img_size is not a multiple of patch_size.
    """

    def __init__(
        self,
        patch_size: int,
        embed_dim: int,
        depth: int,
        num_heads: int,
        img_size: int = 224,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if img_size <= 0 or img_size % patch_size:
            raise ValueError(f"img_size {img_size} is not a multiple of patch size {patch_size}")
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.patch_size = patch_size
        self.grid_size = img_size // patch_size
        self.patch_embed = PatchEmbed(patch_size, embed_dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid_size**2 + 1, embed_dim))
        rates = torch.linspace(0, drop_path_rate, depth, device="cpu").tolist()
        self.blocks = nn.ModuleList(Block(embed_dim, num_heads, rate) for rate in rates)
        self.norm = nn.LayerNorm(embed_dim, eps=LAYER_NORM_EPS)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        self.apply(_init_linear)

    def interpolate_pos_encoding(self, grid_height: int, grid_width: int) -> Tensor:
        """Positional embedding for a grid of patches, as the official code computes it.

        The `+ 0.1` guards against the output being floored to one patch less; it enters the scale
        and therefore the sampled positions, so it must be kept for equal features
        (https://github.com/facebookresearch/dino/issues/8).

        Args:
            grid_height: rows of patches, >= 1.
            grid_width: columns of patches, >= 1.

        Returns:
            [1, 1 + grid_height * grid_width, D], CLS position first.
        """
        native = self.grid_size
        if grid_height == native and grid_width == native:
            return self.pos_embed
        patches = self.pos_embed[:, 1:].reshape(1, native, native, -1).permute(0, 3, 1, 2)
        scale = ((grid_height + 0.1) / native, (grid_width + 0.1) / native)
        patches = F.interpolate(patches, scale_factor=scale, mode="bicubic")
        assert patches.shape[-2:] == (grid_height, grid_width), patches.shape
        patches = patches.permute(0, 2, 3, 1).reshape(1, grid_height * grid_width, -1)
        return torch.cat((self.pos_embed[:, :1], patches), dim=1)

    def prepare_tokens(self, x: Tensor) -> Tensor:
        """Turns normalised images [B, 3, H, W] into tokens [B, 1 + h*w, D] with positions added."""
        batch, _, height, width = x.shape
        if height % self.patch_size or width % self.patch_size or not height or not width:
            raise ValueError(
                f"image size {height}x{width} is not a multiple of patch size {self.patch_size}"
            )
        patches = self.patch_embed(x)
        tokens = torch.cat((self.cls_token.expand(batch, -1, -1), patches), dim=1)
        positions = self.interpolate_pos_encoding(
            height // self.patch_size, width // self.patch_size
        )
        return tokens + positions

    def forward(self, x: Tensor) -> Tensor:
        """Embeds normalised RGB images.

        Args:
            x: [B, 3, H, W], ImageNet-normalised, H and W multiples of the patch size.

        Returns:
            [B, D] CLS token after the last LayerNorm.

        Raises:
            ValueError: if H or W is not a multiple of the patch size.
        """
        x = self.prepare_tokens(x)
        for block in self.blocks:
            x = block(x)
        return self.norm(x[:, 0])

    def features(self, x: Tensor) -> VitFeatures:
        """Computes all outputs of the exported model for images [B, 3, H, W] (see VitFeatures)."""
        x = self.prepare_tokens(x)
        for block in self.blocks[:-1]:
            x = block(x)
        last = self.blocks[-1]
        attention, keys = last.attn.cls_attention_and_keys(last.norm1(x))
        x = self.norm(last(x))
        return VitFeatures(x[:, 0], x[:, 1:], attention, keys)


def _init_linear(module: nn.Module) -> None:
    # The official code re-initialises only Linear and LayerNorm; the patch projection keeps
    # PyTorch's convolution default.
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def build_vit(
    arch: str, patch_size: int, img_size: int = 224, drop_path_rate: float = 0.0
) -> VisionTransformer:
    """Builds a backbone by the DINO authors' name.

    Args:
        arch: vit_micro, vit_tiny, vit_small or vit_base.
        patch_size: 8 or 16, in pixels.
        img_size: side in pixels of the stored positional grid.
        drop_path_rate: stochastic depth of the last block in [0, 1).

    Raises:
        ValueError: if arch or patch_size is unknown.
    """
    if arch not in VARIANTS:
        raise ValueError(f"unknown arch {arch!r}; choose from {', '.join(VARIANTS)}")
    if patch_size not in (8, 16):
        raise ValueError(f"patch_size must be 8 or 16, got {patch_size}")
    return VisionTransformer(
        patch_size, **VARIANTS[arch], img_size=img_size, drop_path_rate=drop_path_rate
    )


def native_image_size(state: dict[str, Tensor], patch_size: int) -> int:
    """Reads from a backbone's weights the image side in pixels of its positional embedding."""
    return math.isqrt(state["pos_embed"].shape[1] - 1) * patch_size
