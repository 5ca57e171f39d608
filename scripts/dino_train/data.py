"""Images from folders and WebDataset tar shards."""

from __future__ import annotations

import glob
import io
import itertools
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


class DataError(RuntimeError):
    """Training or evaluation data is missing, empty or unreadable."""


@dataclass(frozen=True)
class Sample:
    """One encoded image.

    Attributes:
        name: path inside its folder or shard, for messages.
        source: file name of the folder or shard.
        path: file that holds the bytes.
        offset: position of the bytes in the file.
        size: number of bytes.
        label: class, or None when the data has none.
    """

    name: str
    source: str
    path: str
    offset: int
    size: int
    label: str | None

    def read(self) -> bytes:
        """Reads the encoded bytes."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


def expand_braces(pattern: str) -> list[str]:
    """Expands WebDataset braces: `a-{0,1}.tar` lists, `a-{000..012}.tar` ranges."""
    match = re.search(r"\{([^{}]*(?:,|\.\.)[^{}]*)\}", pattern)
    if not match:
        return [pattern]
    span = re.fullmatch(r"(\d+)\.\.(\d+)", match[1])
    if span:
        width = len(span[1])
        choices = [f"{i:0{width}d}" for i in range(int(span[1]), int(span[2]) + 1)]
    else:
        choices = match[1].split(",")
    head, tail = pattern[: match.start()], pattern[match.end() :]
    return list(itertools.chain.from_iterable(expand_braces(head + c + tail) for c in choices))


def list_samples(patterns: Sequence[str], exclude: Iterable[str] = ()) -> list[Sample]:
    """Lists the images of folders and tar shards, in a stable order.

    In a folder, an image's label is its first sub-folder; in a shard it is the text of the sample's
    `.cls` file.

    Args:
        patterns: folders or `.tar` files, with braces or wildcards.
        exclude: labels to leave out.

    Raises:
        DataError: if a path is missing or unreadable, or no image is found.
    """
    left_out = frozenset(exclude)
    samples: list[Sample] = []
    for pattern in itertools.chain.from_iterable(map(expand_braces, patterns)):
        paths = [pattern] if Path(pattern).exists() else sorted(glob.glob(pattern))
        if not paths:
            raise DataError(f"no such folder or tar file: {pattern}")
        for path in map(Path, paths):
            found = list(_folder_samples(path) if path.is_dir() else _tar_samples(path))
            if not found:
                suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
                raise DataError(f"no images ({suffixes}) in {path}")
            samples.extend(sample for sample in found if sample.label not in left_out)
    if not samples:
        raise DataError(f"no images left in {', '.join(patterns)}")
    return samples


def _folder_samples(folder: Path) -> Iterator[Sample]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            relative = path.relative_to(folder)
            label = relative.parts[0] if len(relative.parts) > 1 else None
            yield Sample(str(relative), folder.name, str(path), 0, path.stat().st_size, label)


def _tar_samples(path: Path) -> Iterator[Sample]:
    images: dict[str, tarfile.TarInfo] = {}
    labels: dict[str, str] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                # WebDataset: the key ends at the first dot of the base name.
                name = PurePosixPath(member.name)
                stem, _, extension = name.name.partition(".")
                key = str(name.parent / stem)
                if f".{extension.lower()}" in IMAGE_SUFFIXES:
                    images[key] = member
                elif extension == "cls":
                    labels[key] = tar.extractfile(member).read().decode("utf-8").strip()
    except (tarfile.TarError, OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path} as an uncompressed tar shard: {error}") from error
    for key, member in images.items():
        yield Sample(
            member.name, path.name, str(path), member.offset_data, member.size, labels.get(key)
        )


def decode_rgb(encoded: bytes, name: str, max_short_side: int | None = None) -> Image.Image:
    """Decodes an image upright and in RGB, as the service does: transparency lies on white.

    Args:
        encoded: bytes of an image file.
        name: for messages.
        max_short_side: shrink to this shorter side in pixels when larger.

    Raises:
        DataError: if the bytes are no complete image that PIL can read.
    """
    try:
        image = Image.open(io.BytesIO(encoded))
        if max_short_side:
            image.draft("RGB", (max_short_side, max_short_side))
        image = _to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise DataError(
            f"cannot decode image {name}: not an image, or its start is lost"
        ) from error
    # PIL's parsers meet broken files with nearly any exception.
    except Exception as error:
        raise DataError(f"cannot decode image {name}: {error}") from error
    if max_short_side and min(image.size) > max_short_side:
        image = resize_short_side(image, max_short_side)
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("pixels are floating-point numbers, whose range is unknown")
    if image.mode.startswith("I"):
        # 16-bit grey, which PIL would clip to white.
        levels = np.asarray(image).astype(np.int64)
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError("pixels have more than 16 bits")
        image = Image.fromarray((levels >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image)
    return image.convert("RGB")


def decode_sample(sample: Sample, max_short_side: int | None = None) -> Image.Image:
    """Reads and decodes a sample as decode_rgb does.

    Raises:
        DataError: if its file cannot be read or is no image.
    """
    try:
        encoded = sample.read()
    except OSError as error:
        raise DataError(f"cannot read {sample.path}: {error}") from error
    return decode_rgb(encoded, f"{sample.source}: {sample.name}", max_short_side)


def resize_short_side(image: Image.Image, size: int) -> Image.Image:
    """Resizes (PIL bicubic) so that the shorter side has `size` pixels and the aspect is kept.

    The longer side is rounded down, as torchvision's Resize does in the paper's evaluation.
    """
    shorter = min(image.size)
    width, height = (size * side // shorter for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def center_crop(image: Image.Image, resize: int, crop: int) -> np.ndarray:
    """Prepares an image for an embedding: shorter side to `resize`, centre `crop` x `crop`.

    Args:
        image: RGB.
        resize: shorter side in pixels, >= crop.
        crop: side in pixels of the result.

    Returns:
        [crop, crop, 3] uint8.

    Raises:
        ValueError: if crop is larger than resize.
    """
    if not 0 < crop <= resize:
        raise ValueError(f"crop {crop} must be positive and at most resize {resize}")
    image = resize_short_side(image, resize)
    # torchvision's CenterCrop rounds halves to even.
    left, top = round((image.width - crop) / 2), round((image.height - crop) / 2)
    return np.array(image.crop((left, top, left + crop, top + crop)))
