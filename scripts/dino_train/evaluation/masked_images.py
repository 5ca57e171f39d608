"""Images with masks of their objects: Pascal VOC, pairs in folders, and tar shards."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from ..data import decode_rgb
from .error import EvaluationError

# Pascal VOC's border around objects: neither inside nor outside.
VOID = 255
MASK_SUFFIX = ".mask.png"
_PHOTOS = frozenset({".jpg", ".jpeg", ".png", ".webp"})


@dataclass(frozen=True)
class Place:
    """Bytes of a file, or of a member of a tar shard."""

    path: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Reads them."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True)
class MaskedImage:
    """An image and the mask of its objects.

    Attributes:
        name: for messages.
        image: encoded photo.
        mask: encoded mask of the same size: 0 is background. Of an indexed PNG (VOC) 255 is void;
            in a grey one every value of 128 or more is object.
    """

    name: str
    image: Place
    mask: Place

    def read_image(self) -> Image.Image:
        """The photo in RGB. Masks are drawn on the stored pixels, so EXIF does not turn it."""
        return decode_rgb(_without_exif(self.image.read()), self.name)

    def read_mask(self) -> tuple[np.ndarray, np.ndarray]:
        """[H, W] bool: the pixels of objects, and the pixels that count."""
        try:
            with Image.open(io.BytesIO(self.mask.read())) as mask:
                indexed = mask.mode == "P"
                values = np.array(mask if indexed else mask.convert("L"))
        except OSError as error:
            raise EvaluationError(f"cannot read the mask of {self.name}: {error}") from error
        if indexed:
            return (values != 0) & (values != VOID), values != VOID
        return values >= 128, np.ones(values.shape, bool)


def _without_exif(encoded: bytes) -> bytes:
    with Image.open(io.BytesIO(encoded)) as image:
        if image.getexif().get(0x0112, 1) == 1:
            return encoded
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "PNG", exif=b"")
        return buffer.getvalue()


def list_masked_images(path: Path) -> list[MaskedImage]:
    """Finds images with masks.

    Args:
        path: a folder in Pascal VOC's layout (JPEGImages, SegmentationClass,
            ImageSets/Segmentation/val.txt); a folder with `images` and `masks`; a folder or an
            uncompressed tar shard with NAME.jpg beside NAME.mask.png.

    Raises:
        EvaluationError: if it is none of these, or an image lacks its mask.
    """
    if path.is_file():
        found = list(_of_shard(path))
    elif not path.is_dir():
        raise EvaluationError(f"no such folder or tar file: {path}")
    elif (path / "JPEGImages").is_dir():
        found = list(_of_voc(path))
    elif (path / "images").is_dir():
        found = list(_of_folders(path / "images", path / "masks", ".png"))
    else:
        found = list(_of_folders(path, path, MASK_SUFFIX))
    if not found:
        raise EvaluationError(
            f"no images with masks in {path}: expected Pascal VOC (JPEGImages, SegmentationClass, "
            f"ImageSets/Segmentation/val.txt), images/ and masks/, or NAME.jpg with "
            f"NAME{MASK_SUFFIX}, also in a tar shard"
        )
    return found


def _file(path: Path) -> Place:
    return Place(path, 0, path.stat().st_size)


def _of_voc(path: Path) -> Iterator[MaskedImage]:
    split = path / "ImageSets" / "Segmentation" / "val.txt"
    if not split.is_file():
        raise EvaluationError(f"{path} has JPEGImages but no {split.relative_to(path)}")
    for name in split.read_text(encoding="utf-8").split():
        pair = (path / "JPEGImages" / f"{name}.jpg", path / "SegmentationClass" / f"{name}.png")
        for file in pair:
            if not file.is_file():
                raise EvaluationError(f"{split} names {name}, but there is no {file}")
        yield MaskedImage(name, _file(pair[0]), _file(pair[1]))


def _of_folders(images: Path, masks: Path, suffix: str) -> Iterator[MaskedImage]:
    for file in sorted(images.iterdir()):
        if file.suffix.lower() not in _PHOTOS or file.name.endswith(MASK_SUFFIX):
            continue
        mask = masks / f"{file.stem}{suffix}"
        if not mask.is_file():
            raise EvaluationError(f"{file} has no mask {mask}")
        yield MaskedImage(file.name, _file(file), _file(mask))


def _of_shard(path: Path) -> Iterator[MaskedImage]:
    photos: dict[str, Place] = {}
    masks: dict[str, Place] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                stem, _, extension = name.name.partition(".")
                place = Place(path, member.offset_data, member.size)
                if f".{extension}" == MASK_SUFFIX:
                    masks[str(name.parent / stem)] = place
                elif f".{extension.lower()}" in _PHOTOS:
                    photos[str(name.parent / stem)] = place
    except (tarfile.TarError, OSError) as error:
        raise EvaluationError(
            f"cannot read {path} as an uncompressed tar shard: {error}"
        ) from error
    for key, photo in photos.items():
        if key not in masks:
            raise EvaluationError(f"{path}: {key} has no {MASK_SUFFIX} beside it")
        yield MaskedImage(key, photo, masks[key])
