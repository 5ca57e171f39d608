"""XCiT backbone (El-Nouby et al. 2021, arXiv:2106.09681), weight-compatible with the checkpoints
of facebookresearch/xcit and of DINO.

Source: https://github.com/facebookresearch/xcit/blob/main/xcit.py
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..vit import LAYER_NORM_EPS, DropPath, Mlp, VitFeatures

# tokens_norm is true for every published network but the nano ones, which DINO did not train.
VARIANTS: dict[str, dict[str, int | float]] = {
    "xcit_small_12": {"embed_dim": 384, "depth": 12, "num_heads": 8, "eta": 1.0},
    "xcit_medium_24": {"embed_dim": 512, "depth": 24, "num_heads": 8, "eta": 1e-5},
}
CLASS_ATTENTION_LAYERS = 2
# Angles per axis of the positional encoding, and the ratio of the longest to the shortest wave.
POSITION_DIM = 32
POSITION_TEMPERATURE = 10000.0
POSITION_EPS = 1e-6


class PositionalEncodingFourier(nn.Module):
    """Sines and cosines of the relative row and column, projected to the token dimension.

    Args:
        dim: token dimension D.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.token_projection = nn.Conv2d(POSITION_DIM * 2, dim, kernel_size=1)

    def angles(self, count: int) -> Tensor:
        """Encodes places 1..count of one axis: [count, POSITION_DIM], sine and cosine in turn."""
        device = self.token_projection.weight.device
        places = torch.arange(1, count + 1, dtype=torch.float32, device=device)
        places = places / (places[-1] + POSITION_EPS) * (2 * math.pi)
        index = torch.arange(POSITION_DIM, dtype=torch.float32, device=device)
        wavelengths = POSITION_TEMPERATURE ** (2 * (index // 2) / POSITION_DIM)
        phases = places[:, None] / wavelengths
        return torch.stack((phases[:, 0::2].sin(), phases[:, 1::2].cos()), dim=2).flatten(1)

    def forward(self, rows: int, columns: int) -> Tensor:
        """Encoding of a grid of patches: [1, D, rows, columns]."""
        by_row = self.angles(rows)[:, None].expand(rows, columns, POSITION_DIM)
        by_column = self.angles(columns)[None].expand(rows, columns, POSITION_DIM)
        encoding = torch.cat((by_row, by_column), dim=2).permute(2, 0, 1)[None]
        return self.token_projection(encoding)


def _halving(in_channels: int, out_channels: int) -> nn.Sequential:
    """3x3 convolution of stride 2 and batch normalisation."""
    convolution = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels))


class ConvPatchEmbed(nn.Module):
    """A stack of halving convolutions with GELU between them instead of one patch projection.

    Args:
        patch_size: 8 or 16, in pixels; its logarithm is the number of convolutions.
        embed_dim: token dimension D; every convolution doubles the channels up to it.
    """

    def __init__(self, patch_size: int, embed_dim: int) -> None:
        super().__init__()
        halvings = int(math.log2(patch_size))
        widths = [3, *(embed_dim >> step for step in reversed(range(halvings)))]
        layers: list[nn.Module] = []
        for in_channels, out_channels in pairwise(widths):
            layers += [_halving(in_channels, out_channels), nn.GELU()]
        self.proj = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, 3, H, W] to a map of tokens [B, D, H/patch, W/patch]."""
        return self.proj(x)


class XCA(nn.Module):
    """Cross-covariance attention: channels of a head attend to each other across all tokens."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))
        self.qkv = nn.Linear(dim, dim * 3)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, dim // self.num_heads)
        # Each [B, heads, D/heads, N].
        q, k, v = qkv.permute(2, 0, 3, 4, 1).unbind(0)
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        attention = (q @ k.transpose(-2, -1) * self.temperature).softmax(dim=-1)
        return self.proj((attention @ v).permute(0, 3, 1, 2).reshape(x.shape))


class LPI(nn.Module):
    """Local patch interaction: two depthwise 3x3 convolutions over the grid of tokens."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.bn = nn.BatchNorm2d(dim)
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x: Tensor, rows: int, columns: int) -> Tensor:
        """Mixes tokens [B, rows * columns, D] with their neighbours."""
        grid = x.transpose(1, 2).unflatten(2, (rows, columns))
        # The normalisation comes after the activation: padding of conv2 is zero, not normalised.
        grid = self.conv2(self.bn(F.gelu(self.conv1(grid))))
        return grid.flatten(2).transpose(1, 2)


class XCABlock(nn.Module):
    """Cross-covariance attention, local interaction and MLP, each with its layer scale."""

    def __init__(self, dim: int, num_heads: int, eta: float, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attn = XCA(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(dim, dim * 4)
        self.norm3 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.local_mp = LPI(dim)
        self.gamma1 = nn.Parameter(torch.full((dim,), eta))
        self.gamma2 = nn.Parameter(torch.full((dim,), eta))
        self.gamma3 = nn.Parameter(torch.full((dim,), eta))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, rows: int, columns: int) -> Tensor:
        x = x + self.drop_path(self.gamma1 * self.attn(self.norm1(x)))
        x = x + self.drop_path(self.gamma3 * self.local_mp(self.norm3(x), rows, columns))
        return x + self.drop_path(self.gamma2 * self.mlp(self.norm2(x)))


class ClassAttention(nn.Module):
    """Attention of the CLS token alone (CaiT, arXiv:2103.17239)."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = dim // num_heads
        self.qkv = nn.Linear(dim, dim * 3)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mixes tokens [B, N, D] for the CLS token.

        Returns:
            The new CLS token [B, 1, D], its attention to all tokens [B, heads, N] and the keys
            [B, N, D].
        """
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q[:, :, :1] * k).sum(dim=-1) * self.head_dim**-0.5
        attention = scores.softmax(dim=-1)
        cls_token = (attention[:, :, None] @ v).transpose(1, 2).reshape(batch, 1, dim)
        return self.proj(cls_token), attention, k.transpose(1, 2).reshape(x.shape)


class ClassAttentionBlock(nn.Module):
    """Class attention and an MLP on the CLS token.

    The published networks normalise all tokens before the MLP and go on with the normalised ones
    (`tokens_norm` of the official code), so that patch tokens change in these blocks, too: norm1 of
    x is added to x for them, as the attention hands them through.
    """

    def __init__(self, dim: int, num_heads: int, eta: float, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attn = ClassAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(dim, dim * 4)
        self.gamma1 = nn.Parameter(torch.full((dim,), eta))
        self.gamma2 = nn.Parameter(torch.full((dim,), eta))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens [B, N, D] to new tokens, the CLS token's attention and the keys."""
        normed = self.norm1(x)
        cls_token, attention, keys = self.attn(normed)
        mixed = torch.cat((cls_token, normed[:, 1:]), dim=1)
        x = self.norm2(x + self.drop_path(self.gamma1 * mixed))
        update = torch.cat((self.gamma2 * self.mlp(x[:, :1]), x[:, 1:]), dim=1)
        return x + self.drop_path(update), attention, keys


class XCiT(nn.Module):
    """XCiT backbone of DINO: images to the CLS token after the last LayerNorm.

    Args:
        patch_size: side of a patch in pixels (8 or 16).
        embed_dim: token dimension D, a multiple of num_heads and of patch_size / 2.
        depth: number of cross-covariance blocks, before two class-attention blocks.
        num_heads: attention heads per block.
        eta: what the layer scales start from.
        drop_path_rate: stochastic depth of every cross-covariance block in [0, 1).

    Raises:
        ValueError: if patch_size is neither 8 nor 16.
    """

    def __init__(
        self,
        patch_size: int,
        embed_dim: int,
        depth: int,
        num_heads: int,
        eta: float = 1.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if patch_size not in (8, 16):
            raise ValueError(f"patch_size must be 8 or 16, got {patch_size}")
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.patch_size = patch_size
        self.patch_embed = ConvPatchEmbed(patch_size, embed_dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.blocks = nn.ModuleList(
            XCABlock(embed_dim, num_heads, eta, drop_path_rate) for _ in range(depth)
        )
        # The official code gives the class-attention blocks no stochastic depth.
        self.cls_attn_blocks = nn.ModuleList(
            ClassAttentionBlock(embed_dim, num_heads, eta, 0.0)
            for _ in range(CLASS_ATTENTION_LAYERS)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=LAYER_NORM_EPS)
        self.pos_embeder = PositionalEncodingFourier(embed_dim)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Embeds normalised RGB images.

        Args:
            x: [B, 3, H, W], ImageNet-normalised, H and W multiples of the patch size.

        Returns:
            [B, D] CLS token after the last LayerNorm.

        Raises:
            ValueError: if H or W is not a multiple of the patch size.
        """
        return self.features(x).embedding

    def features(self, x: Tensor) -> VitFeatures:
        """Computes all outputs of the exported model for images [B, 3, H, W].

        Attention and keys are those of the last class-attention block, as in a ViT's last block:
        the softmax of the attention runs over all tokens, CLS included.

        Raises:
            ValueError: if H or W is not a multiple of the patch size.
        """
        batch, _, height, width = x.shape
        if height % self.patch_size or width % self.patch_size or not height or not width:
            raise ValueError(
                f"image size {height}x{width} is not a multiple of patch size {self.patch_size}"
            )
        rows, columns = height // self.patch_size, width // self.patch_size
        grid = self.patch_embed(x) + self.pos_embeder(rows, columns)
        x = grid.flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x, rows, columns)
        x = torch.cat((self.cls_token.expand(batch, -1, -1), x), dim=1)
        for block in self.cls_attn_blocks:
            x, attention, keys = block(x)
        x = self.norm(x)
        return VitFeatures(x[:, 0], x[:, 1:], attention[:, :, 1:], keys[:, 1:])


def build_xcit(arch: str, patch_size: int, drop_path_rate: float = 0.0) -> XCiT:
    """Builds a backbone by the authors' name without the patch size.

    Args:
        arch: xcit_small_12 or xcit_medium_24.
        patch_size: 8 or 16, in pixels.
        drop_path_rate: stochastic depth in [0, 1).

    Raises:
        ValueError: if arch or patch_size is unknown.
    """
    if arch not in VARIANTS:
        raise ValueError(f"unknown arch {arch!r}; choose from {', '.join(VARIANTS)}")
    return XCiT(patch_size, **VARIANTS[arch], drop_path_rate=drop_path_rate)
