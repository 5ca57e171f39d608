"""Changes of colour and sharpness for batches of images, each with parameters of its own.

Images are float [N, 3, H, W] in [0, 1], channel by channel, on any device; parameters are tensors
[N] on the same device. The definitions are those of PIL and torchvision without their rounding to
whole levels in between.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# ITU-R 601, as PIL converts to grey.
GREY_WEIGHTS = (0.299, 0.587, 0.114)


def to_grey(images: Tensor) -> Tensor:
    """Grey levels [N, 1, H, W]."""
    red, green, blue = GREY_WEIGHTS
    grey = images[:, :1] * red
    grey.add_(images[:, 1:2], alpha=green)
    return grey.add_(images[:, 2:], alpha=blue)


def adjust_brightness_(images: Tensor, factor: Tensor) -> None:
    """Blends black with the image, in place: factor * image, cut to [0, 1]."""
    images.mul_(_spread(factor)).clamp_(0, 1)


def adjust_contrast_(images: Tensor, factor: Tensor) -> None:
    """Blends each image's mean grey with the image, in place: 0 gives the mean, 1 the image."""
    # Row by row: sums of a whole picture would depend on the number of threads.
    mean = to_grey(images).mean(3, keepdim=True).mean(2, keepdim=True)
    factor = _spread(factor)
    images.mul_(factor).add_(mean.mul_(1 - factor)).clamp_(0, 1)


def adjust_saturation_(images: Tensor, factor: Tensor) -> None:
    """Blends grey with the image, in place: 0 gives grey, 1 the image."""
    factor = _spread(factor)
    grey = to_grey(images).mul_(1 - factor)
    images.mul_(factor).add_(grey).clamp_(0, 1)


def adjust_hue_(images: Tensor, turn: Tensor) -> None:
    """Turns the hue in HSV by a part of a circle, in place; value and saturation stay.

    Args:
        images: [N, 3, H, W].
        turn: [N], -1/6 to 1/6.
    """
    red, green, blue = images.unbind(1)
    value = torch.maximum(red, green)
    torch.maximum(value, blue, out=value)
    lowest = torch.minimum(red, green)
    torch.minimum(lowest, blue, out=lowest)
    chroma = value - lowest
    # The distance from red in sixths of a circle is 1 - r + g + b of channels stretched to [0, 1];
    # green lies on its positive side, blue on the negative one. Chroma 0 cancels what grey gives.
    hue = (green + blue).sub_(red).sub_(lowest).div_(chroma.clamp(min=1e-9)).add_(1)
    torch.copysign(hue, torch.sub(green, blue, out=lowest), out=hue)
    hue.add_(6 * turn.view(-1, 1, 1))
    # A channel is the value less the chroma times a trapezium around the opposite colour.
    ramp = lowest
    for channel, opposite in ((red, 3), (green, -1), (blue, 1)):
        torch.sub(hue, opposite, out=ramp)
        ramp.abs_().sub_(3).abs_().sub_(1).clamp_(0, 1).mul_(chroma)
        torch.sub(value, ramp, out=channel)


def solarized(images: Tensor) -> Tensor:
    """Inverts what is brighter than the middle."""
    return torch.minimum(images, 1 - images)


def gaussian_blur(images: Tensor, sigma: Tensor, max_sigma: float) -> Tensor:
    """Blurs by a sampled Gaussian with edges repeated.

    Args:
        images: [N, 3, H, W].
        sigma: [N] standard deviations in pixels, > 0.
        max_sigma: upper bound of `sigma`; the kernel reaches as far as four of it.
    """
    reach = math.ceil(4 * max_sigma - 0.5)
    at = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (at / sigma[:, None]) ** 2)
    kernel /= kernel.sum(1, keepdim=True)
    # One group per channel of each image: all images in one convolution.
    planes = images.shape[0] * 3
    kernel = kernel.repeat_interleave(3, 0).view(planes, 1, 1, -1)
    padded = F.pad(images, (reach, reach, reach, reach), mode="replicate")
    flat = padded.view(1, planes, *padded.shape[2:])
    flat = F.conv2d(F.conv2d(flat, kernel, groups=planes), kernel.mT, groups=planes)
    return flat.view(images.shape)


def _spread(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
