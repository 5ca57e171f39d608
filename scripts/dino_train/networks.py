"""Backbones by the authors' names, and the network of student and teacher."""

from __future__ import annotations

import argparse

from torch import Tensor, nn

from .backbones.resnet import VARIANTS as RESNET_VARIANTS
from .backbones.resnet import build_resnet
from .backbones.xcit import VARIANTS as XCIT_VARIANTS
from .backbones.xcit import build_xcit
from .head import DINOHead, DINONetwork
from .vit import VARIANTS as VIT_VARIANTS
from .vit import build_vit, native_image_size

XCIT_PATCH_SIZES = (8, 16)


def arch_names() -> list[str]:
    """Names that --arch takes: ViT, ResNet, and XCiT with its patch size in the name."""
    xcit = [f"{name}_p{size}" for name in XCIT_VARIANTS for size in XCIT_PATCH_SIZES]
    return [*VIT_VARIANTS, *RESNET_VARIANTS, *xcit]


def canonical_arch(name: str) -> str:
    """The authors' older names say DeiT for the same networks: deit_small is vit_small."""
    return name.replace("deit_", "vit_")


def crop_multiple(arch: str, patch_size: int) -> int:
    """What the sides of crops are multiples of, in pixels: a ViT's --patch_size, the patch size in
    an XCiT's name; a ResNet takes any size.
    """
    if arch in RESNET_VARIANTS:
        return 1
    name, _, size = arch.rpartition("_p")
    return int(size) if name in XCIT_VARIANTS else patch_size


def build_backbone(
    arch: str, patch_size: int, img_size: int = 224, drop_path_rate: float = 0.0
) -> nn.Module:
    """Builds a backbone f with fresh weights from the global random state.

    Args:
        arch: of arch_names().
        patch_size: 8 or 16 in pixels, for a ViT.
        img_size: side in pixels of the positional grid that a ViT stores.
        drop_path_rate: stochastic depth in [0, 1); growing from 0 to it in a ViT, the same in
            every block of an XCiT, without meaning for a ResNet, as in the authors' code.

    Raises:
        ValueError: if arch or patch_size is unknown.
    """
    if arch in RESNET_VARIANTS:
        return build_resnet(arch)
    name, _, size = arch.rpartition("_p")
    if name in XCIT_VARIANTS and size.isdigit():
        return build_xcit(name, int(size), drop_path_rate)
    if arch not in VIT_VARIANTS:
        raise ValueError(f"unknown arch {arch!r}; choose from {', '.join(arch_names())}")
    return build_vit(arch, patch_size, img_size, drop_path_rate)


def backbone_like(arch: str, patch_size: int, weights: dict[str, Tensor]) -> nn.Module:
    """Builds a backbone with the positional grid that its weights were stored for."""
    if "pos_embed" not in weights:
        return build_backbone(arch, patch_size)
    return build_backbone(arch, patch_size, native_image_size(weights, patch_size))


def build_network(options: argparse.Namespace, drop_path_rate: float = 0.0) -> DINONetwork:
    """Builds g = h o f as the options say, with fresh weights from the global random state."""
    backbone = build_backbone(
        options.arch, options.patch_size, options.global_crops_size, drop_path_rate
    )
    head = DINOHead(
        backbone.embed_dim,
        options.out_dim,
        options.norm_last_layer,
        use_bn=options.use_bn_in_head,
    )
    return DINONetwork(backbone, head)


def has_batch_norm(network: nn.Module) -> bool:
    """True when a network normalises over the batch."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())
