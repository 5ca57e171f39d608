"""The decoded images of a training set, kept in memory when they fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .bad_images import BadImages
from .data import DataError, Sample, decode_sample


@dataclass(frozen=True)
class ImagePack:
    """Images of different sizes, one behind the other.

    Attributes:
        pixels: uint8, rows of RGB pixels of all images.
        offsets: [N] int64, where in `pixels` each image begins.
        sizes: [N, 2] int64, height and width of each.
        keys: [N] uint64, number of each image for random draws.
        bad: names and reasons of images that could not be read and were replaced.
    """

    pixels: Tensor
    offsets: np.ndarray
    sizes: np.ndarray
    keys: np.ndarray
    bad: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.keys)

    def image(self, index: int) -> Tensor:
        """Image `index` as uint8 [H, W, 3], not copied."""
        height, width = map(int, self.sizes[index])
        offset = int(self.offsets[index])
        return self.pixels[offset : offset + height * width * 3].view(height, width, 3)

    def images(self) -> Iterator[Tensor]:
        """All images, each uint8 [H, W, 3], not copied."""
        return map(self.image, range(len(self)))

    def part(self, images: slice) -> ImagePack:
        """Some of the images, not copied."""
        return ImagePack(
            self.pixels, self.offsets[images], self.sizes[images], self.keys[images], self.bad
        )

    def join(self, other: ImagePack) -> ImagePack:
        """The images of both, copied."""
        images = [image.numpy() for image in (*self.images(), *other.images())]
        return pack_images(images, np.append(self.keys, other.keys), self.bad + other.bad)

    def on(self, device: torch.device) -> ImagePack:
        """The same on another device; only these images are brought there, not their neighbours."""
        if self.pixels.device.type == device.type:
            return self
        pack = self
        if self.pixels.numel() > self.sizes.prod(1).sum() * 3:
            pack = pack_images([image.numpy() for image in self.images()], self.keys, self.bad)
        if device.type == "cuda" and not pack.pixels.is_pinned():
            pack = pack.pin_memory()
        pixels = pack.pixels.to(device, non_blocking=True)
        return ImagePack(pixels, pack.offsets, pack.sizes, pack.keys, pack.bad)

    def pin_memory(self) -> ImagePack:
        """The same in page-locked memory, from where a GPU fetches by itself."""
        return ImagePack(self.pixels.pin_memory(), self.offsets, self.sizes, self.keys, self.bad)


def pack_images(
    images: Sequence[np.ndarray], keys: Sequence[int] | np.ndarray, bad: Sequence[str] = ()
) -> ImagePack:
    """Packs uint8 arrays [H, W, 3]; clears a list of them on the way, to spare memory."""
    sizes = np.array([image.shape[:2] for image in images], np.int64).reshape(-1, 2)
    ends = np.cumsum(sizes.prod(1) * 3)
    pixels = torch.empty(int(ends[-1]) if len(ends) else 0, dtype=torch.uint8)
    flat = pixels.numpy()
    for index, end in enumerate(ends):
        image = images[index]
        flat[end - image.size : end] = image.reshape(-1)
        if isinstance(images, list):
            images[index] = None
    offsets = np.concatenate(([0], ends))[:-1].astype(np.int64)
    return ImagePack(pixels, offsets, sizes, np.asarray(keys, np.uint64), tuple(bad))


class ImageStore:
    """Decoded access to samples; small sets are decoded once and kept in memory.

    The pixels of a kept set are one tensor, which worker processes share with their parent.

    Args:
        samples: what to serve.
        max_short_side: images are kept at most this large, in pixels of the shorter side.
        cache_bytes: keep decoded images when all of them are expected to fit.
        max_bad_images: share of unreadable images to go on with, in [0, 1].

    Attributes:
        samples: those that are served; without the unreadable ones where the set is kept.
        bad_images: unreadable images found so far.

    Raises:
        DataError: if too many images of a set that is to be kept cannot be read.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        max_short_side: int,
        cache_bytes: int = 4 << 30,
        max_bad_images: float = 0.0,
    ) -> None:
        self.samples = samples
        self.max_short_side = max_short_side
        self.bad_images = BadImages(len(samples), max_bad_images)
        self.kept: ImagePack | None = None
        probe = [self._try_decode(sample) for sample in samples[:: len(samples) // 32 + 1]]
        sizes = [image.nbytes for image in probe if not isinstance(image, str)]
        if not sizes:
            self.bad_images.add(probe)
        elif sum(sizes) / len(sizes) * len(samples) <= cache_bytes:
            self._keep()

    def _keep(self) -> None:
        images, served, bad = [], [], []
        # PIL decodes outside of the interpreter's lock.
        with ThreadPoolExecutor() as pool:
            for sample, image in zip(
                self.samples, pool.map(self._try_decode, self.samples), strict=True
            ):
                if isinstance(image, str):
                    bad.append(image)
                else:
                    images.append(image)
                    served.append(sample)
        self.bad_images.add(bad)
        self.samples = served
        if not images:
            raise DataError("none of the images can be read")
        self.kept = pack_images(images, np.arange(len(served)))

    def move_kept(self, device: torch.device) -> None:
        """Moves a kept set to a GPU if that takes no more than a quarter of its free memory."""
        if self.kept is None or device.type != "cuda":
            return
        free, _ = torch.cuda.mem_get_info(device)
        if self.kept.pixels.numel() <= free // 4:
            self.kept = self.kept.on(device)

    def _try_decode(self, sample: Sample) -> np.ndarray | str:
        try:
            return np.array(decode_sample(sample, self.max_short_side))
        except DataError as error:
            return str(error)

    def __len__(self) -> int:
        return len(self.samples)

    def pack(self, indices: Sequence[int] | np.ndarray) -> ImagePack:
        """The images of the given indices; the next readable one stands in for an unreadable one.

        The stand-in gets the number of the image it replaces, and so views of its own.

        Raises:
            DataError: if no image can be read.
        """
        kept, indices = self.kept, np.asarray(indices)
        if kept is not None:
            return ImagePack(
                kept.pixels, kept.offsets[indices], kept.sizes[indices], kept.keys[indices]
            )
        images, bad = [], []
        for index in indices:
            for step in range(len(self)):
                image = self._try_decode(self.samples[(index + step) % len(self)])
                if not isinstance(image, str):
                    break
                bad.append(image)
            else:
                raise DataError(f"none of the images can be read; the last: {image}")
            images.append(image)
        return pack_images(images, indices, bad)
