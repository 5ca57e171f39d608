"""Projection head h of DINO: MLP, l2 bottleneck, weight-normalised prototypes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class WeightNormLinear(nn.Module):
    """Bias-free linear layer with w = g * v / ||v|| per output (Salimans & Kingma 2016).

    Parameter names (`weight_g`, `weight_v`) match the official checkpoints.

    Args:
        in_features: input dimension.
        out_features: number of outputs K.
        norm_last_layer: keep g at 1, so that every prototype stays on the unit sphere.
    """

    def __init__(self, in_features: int, out_features: int, norm_last_layer: bool) -> None:
        super().__init__()
        self.weight_v = nn.Parameter(torch.empty(out_features, in_features))
        self.weight_g = nn.Parameter(torch.ones(out_features, 1), requires_grad=not norm_last_layer)
        nn.init.trunc_normal_(self.weight_v, std=0.02)

    @property
    def weight(self) -> Tensor:
        """[out_features, in_features] effective weight."""
        return F.normalize(self.weight_v, dim=1) * self.weight_g

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)


class DINOHead(nn.Module):
    """3-layer MLP with GELU, l2 normalisation, weight-normalised layer to K (paper, appendix C).

    Args:
        in_dim: backbone dimension D.
        out_dim: number of prototypes K.
        norm_last_layer: freeze the prototypes' norm at 1 (stabilises, official default).
        hidden_dim: width of the MLP.
        bottleneck_dim: dimension in which features are l2-normalised.
        use_bn: batch normalisation after the first two layers, which the authors use with
            convolutional networks; their ViTs are free of it.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        norm_last_layer: bool = True,
        hidden_dim: int = 2048,
        bottleneck_dim: int = 256,
        use_bn: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in (in_dim, hidden_dim):
            layers.append(nn.Linear(width, hidden_dim))
            if use_bn:
                layers.append(nn.BatchNorm1d(hidden_dim))
            layers.append(nn.GELU())
        self.mlp = nn.Sequential(*layers, nn.Linear(hidden_dim, bottleneck_dim))
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.last_layer = WeightNormLinear(bottleneck_dim, out_dim, norm_last_layer)

    def forward(self, x: Tensor) -> Tensor:
        """Maps backbone features [B, D] to logits [B, K]."""
        return self.last_layer(F.normalize(self.mlp(x), dim=-1))


class DINONetwork(nn.Module):
    """Student or teacher g = h o f of one architecture.

    Args:
        backbone: f, images to [B, D].
        head: projection head h.
    """

    def __init__(self, backbone: nn.Module, head: DINOHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, crop_groups: list[Tensor]) -> Tensor:
        """Runs multi-crop views, one backbone pass per resolution.

        Args:
            crop_groups: each [views * B, 3, size, size], view-major (all of view 0, then view 1).

        Returns:
            [total views * B, K] logits in the same order.
        """
        return self.head(torch.cat([self.backbone(group) for group in crop_groups]))
