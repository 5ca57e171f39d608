"""ResNet-50 backbone, weight-compatible with the DINO checkpoint and with torchvision.

Sources: He et al. 2015 (arXiv:1512.03385), with the stride in the 3x3 convolution as in
https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

VARIANTS: dict[str, dict[str, tuple[int, ...] | int]] = {
    "resnet50": {"layers": (3, 4, 6, 3), "width": 64},
}
# A bottleneck's output is this many times as wide as its 3x3 convolution.
EXPANSION = 4
# Five halvings: stem, pooling and the last three stages.
TOTAL_STRIDE = 32


@dataclass(frozen=True)
class ResNetFeatures:
    """Everything the exported model answers, for a batch of B images of 32h x 32w pixels.

    Attributes:
        embedding: [B, D] average of the last feature map.
        patch_tokens: [B, h*w, D] the last feature map, row by row.
    """

    embedding: Tensor
    patch_tokens: Tensor


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with batch normalisation beside a shortcut.

    Args:
        in_channels: channels of the input.
        channels: channels of the 3x3 convolution; the output has EXPANSION times as many.
        stride: of the 3x3 convolution.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        out_channels = channels * EXPANSION
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + shortcut)


class ResNet(nn.Module):
    """ResNet backbone of DINO: images to the average of the last feature map.

    There is no classifier; `fc.*` of a torchvision checkpoint does not belong to the backbone.

    Args:
        layers: bottlenecks of each of the four stages.
        width: channels of the stem, 64 in the published networks.
    """

    def __init__(self, layers: tuple[int, ...] = (3, 4, 6, 3), width: int = 64) -> None:
        super().__init__()
        self.embed_dim = width * 8 * EXPANSION
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        in_channels = width
        for number, blocks in enumerate(layers):
            channels = width * 2**number
            stage = nn.Sequential()
            for index in range(blocks):
                stride = 2 if number > 0 and index == 0 else 1
                stage.append(Bottleneck(in_channels, channels, stride))
                in_channels = channels * EXPANSION
            self.add_module(f"layer{number + 1}", stage)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def feature_map(self, x: Tensor) -> Tensor:
        """Turns normalised images [B, 3, H, W] into the last feature map [B, D, H/32, W/32].

        Sides that are not multiples of 32 are rounded up.
        """
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def forward(self, x: Tensor) -> Tensor:
        """Embeds normalised RGB images [B, 3, H, W] of any size: [B, D]."""
        return self.feature_map(x).mean(dim=(2, 3))

    def features(self, x: Tensor) -> ResNetFeatures:
        """Computes all outputs of the exported model for images [B, 3, H, W], multiples of 32."""
        tokens = self.feature_map(x).flatten(2).transpose(1, 2)
        return ResNetFeatures(tokens.mean(dim=1), tokens)


def build_resnet(arch: str = "resnet50") -> ResNet:
    """Builds a backbone by torchvision's name.

    Raises:
        ValueError: if arch is unknown.
    """
    if arch not in VARIANTS:
        raise ValueError(f"unknown arch {arch!r}; choose from {', '.join(VARIANTS)}")
    return ResNet(**VARIANTS[arch])
