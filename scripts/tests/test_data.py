"""Folders, tar shards, preparation of images and messages about broken data."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_shard
from PIL import Image

from dino_train.data import (
    DataError,
    center_crop,
    decode_rgb,
    decode_sample,
    expand_braces,
    list_samples,
    resize_short_side,
)
from dino_train.image_store import ImageStore


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack((x % 256, y % 256, (x + y) % 256), -1).astype(np.uint8))


def test_braces_list_and_count():
    assert expand_braces("a-{0,1}.tar") == ["a-0.tar", "a-1.tar"]
    assert expand_braces("a-{008..011}.tar") == [f"a-{i:03d}.tar" for i in range(8, 12)]
    assert expand_braces("{x,y}/{0..1}") == ["x/0", "x/1", "y/0", "y/1"]
    assert expand_braces("plain.tar") == ["plain.tar"]


def test_a_folder_is_read_recursively_with_labels_from_sub_folders(tmp_path):
    for name in ("cat/a.png", "cat/deep/b.PNG", "dog/c.png", "loose.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encode(gradient(8, 8)))
    (tmp_path / "notes.txt").write_text("no image")
    labels = {s.name: s.label for s in list_samples([str(tmp_path)])}
    assert labels == {
        "cat/a.png": "cat", "cat/deep/b.PNG": "cat", "dog/c.png": "dog", "loose.png": None,
    }  # fmt: skip
    assert {s.label for s in list_samples([str(tmp_path)], exclude=["cat"])} == {"dog", None}


def test_shards_yield_the_bytes_and_the_class_of_each_sample(tmp_path):
    first, second = encode(gradient(9, 8)), encode(gradient(8, 9), "JPEG")
    write_shard(
        tmp_path / "s-0.tar", {"x/1.png": first, "x/1.cls": b"tulip\n", "x/1.txt": b"caption"}
    )
    write_shard(tmp_path / "s-1.tar", {"y/1.seg.cls": b"no", "y/1.jpg": second, "y/1.cls": b"rose"})
    samples = list_samples([str(tmp_path / "s-{0,1}.tar")])
    assert [(s.name, s.source, s.label) for s in samples] == [
        ("x/1.png", "s-0.tar", "tulip"),
        ("y/1.jpg", "s-1.tar", "rose"),
    ]
    assert [s.read() for s in samples] == [first, second]
    assert len(list_samples([str(tmp_path / "s-*.tar")])) == 2


def test_missing_empty_and_broken_data_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no such folder or tar file: .*nowhere-1\.tar"):
        list_samples([str(tmp_path / "nowhere-{1,2}.tar")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no images .* in .*empty"):
        list_samples([str(tmp_path / "empty")])
    (tmp_path / "bad.tar").write_bytes(b"this is not a tar file" * 100)
    with pytest.raises(DataError, match=r"cannot read .*bad\.tar as an uncompressed tar"):
        list_samples([str(tmp_path / "bad.tar")])
    whole = write_shard(tmp_path / "cut.tar", {f"{i}.png": bytes(5000) for i in range(9)})
    whole.write_bytes(whole.read_bytes()[:20_000])
    with pytest.raises(DataError, match=r"cannot read .*cut\.tar"):
        list_samples([str(whole)])


def photos(folder: Path, good: int, **bad: bytes) -> Path:
    """Fills a folder with `good` pictures of different sizes and with the given broken files."""
    folder.mkdir()
    for index in range(good):
        (folder / f"{index:03d}.png").write_bytes(encode(gradient(8 + index, 9)))
    for name, content in bad.items():
        (folder / f"{name}.jpg").write_bytes(content)
    return folder


BROKEN = {
    "empty": b"",
    "text": b"plain text",
    "truncated": encode(gradient(64, 64), "JPEG")[:400],
    "header": encode(gradient(64, 64))[:40],
    "scrambled": encode(gradient(64, 64))[:60] + b"x" * 200,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_undecodable_image_is_named(tmp_path, kind):
    folder = photos(tmp_path / "photos", 1, **{kind: BROKEN[kind]})
    with pytest.raises(DataError, match=rf"cannot decode image photos: {kind}\.jpg"):
        decode_sample(list_samples([str(folder)])[1])


@pytest.mark.parametrize("cache_bytes", [1 << 20, 0])
def test_unreadable_images_are_counted_named_and_replaced(tmp_path, capsys, cache_bytes):
    samples = list_samples([str(photos(tmp_path / "p", 20, **BROKEN))])
    store = ImageStore(samples, 64, cache_bytes, max_bad_images=0.2)
    pack = store.pack(range(len(store)))
    store.bad_images.add(pack.bad)
    assert len(store.bad_images) == len(BROKEN)
    assert [f"cannot decode image p: {name}.jpg" for name in sorted(BROKEN)] == [
        message.partition(".jpg")[0] + ".jpg" for message in store.bad_images.messages
    ]
    assert capsys.readouterr().err.count("skipped: cannot decode image p: ") == len(BROKEN)
    # Found again in the next epoch, they count no second time.
    store.bad_images.add(store.pack(range(len(store))).bad)
    assert len(store.bad_images) == len(BROKEN)
    widths = pack.sizes[:, 1].tolist()
    if cache_bytes:
        assert widths == list(range(8, 28))
    else:
        # The broken ones come last; the next after the last is the first.
        assert widths == [*range(8, 28), *[8] * len(BROKEN)]
        assert len(set(pack.keys.tolist())) == len(samples)


@pytest.mark.parametrize("cache_bytes", [1 << 20, 0])
def test_too_many_unreadable_images_are_an_error(tmp_path, cache_bytes):
    samples = list_samples([str(photos(tmp_path / "p", 20, **BROKEN))])
    with pytest.raises(DataError, match=r"5 of 25 images cannot be read.*--max_bad_images 0\.1 "):
        store = ImageStore(samples, 64, cache_bytes, max_bad_images=0.1)
        store.bad_images.add(store.pack(range(25)).bad)
    only = list_samples([str(photos(tmp_path / "q", 0, **BROKEN))])
    with pytest.raises(DataError, match="none of the images can be read"):
        ImageStore(only, 64, cache_bytes, max_bad_images=1.0).pack([0])


def test_unusual_pixels_are_handled_as_the_service_does():
    def colour(image: Image.Image, kind: str = "PNG", **options) -> tuple[int, int, int]:
        decoded = decode_rgb(encode(image, kind, **options), "x")
        assert decoded.mode == "RGB"
        return decoded.getpixel((0, 0))

    assert colour(Image.new("RGBA", (4, 4), (255, 0, 0, 0))) == (255, 255, 255)
    assert colour(Image.new("RGBA", (4, 4), (200, 0, 0, 128))) == (227, 127, 127)
    assert colour(Image.new("LA", (4, 4), (0, 0))) == (255, 255, 255)
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([9, 9, 9, 10, 20, 30])
    assert colour(palette) == (10, 20, 30)
    assert colour(palette, transparency=1) == (255, 255, 255)
    deep = Image.fromarray(np.full((4, 4), 0x7FFF, np.uint16))
    assert colour(deep) == (127, 127, 127)
    assert colour(deep, "TIFF") == (127, 127, 127)
    red = colour(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)
    assert red[0] > 240
    assert max(red[1:]) < 20
    assert colour(Image.new("1", (4, 4), 1)) == (255, 255, 255)
    with pytest.raises(DataError, match="floating-point"):
        colour(Image.new("F", (4, 4)), "TIFF")
    with pytest.raises(DataError, match="more than 16 bits"):
        colour(Image.new("I", (4, 4), 70_000), "TIFF")


def test_images_are_turned_upright_and_converted_to_rgb():
    sideways = Image.new("RGB", (20, 10), "blue")
    sideways.paste("red", (0, 0, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = decode_rgb(encode(sideways, "JPEG", exif=exif, quality=95), "x")
    assert upright.size == (10, 20)
    red, blue = upright.getpixel((5, 4)), upright.getpixel((5, 16))
    assert red[0] > 200 > 60 > red[2]
    assert blue[2] > 200 > 60 > blue[0]
    grey = decode_rgb(encode(Image.new("L", (4, 4), 77)), "x")
    assert grey.getpixel((0, 0)) == (77, 77, 77)


def test_preparation_takes_the_centre_at_the_asked_size():
    image = gradient(200, 100)
    assert resize_short_side(image, 64).size == (128, 64)
    # 128 * 256 / 171 = 191.6 is cut, not rounded.
    assert resize_short_side(gradient(100, 199), 64).size == (64, 127)
    assert resize_short_side(gradient(256, 171), 128).size == (191, 128)
    crop = center_crop(image, 100, 60)
    assert crop.shape == (60, 60, 3)
    assert np.array_equal(crop, np.asarray(image)[20:80, 70:130])
    # Halves go to the even neighbour: offsets 0.5 -> 0 and 1.5 -> 2.
    for width, left in ((61, 0), (63, 2)):
        odd = gradient(width, 60)
        assert np.array_equal(center_crop(odd, 60, 60), np.asarray(odd)[:, left : left + 60])
    with pytest.raises(ValueError, match="at most resize"):
        center_crop(image, 50, 60)


def test_kept_and_decoded_images_have_the_same_pixels(tmp_path):
    for index in range(3):
        image = gradient(300 + index, 200)
        (tmp_path / f"{index}.png").write_bytes(encode(image))
    samples = list_samples([str(tmp_path)])
    kept, direct = ImageStore(samples, 96), ImageStore(samples, 96, cache_bytes=0)
    assert direct.kept is None
    for a, b in zip(kept.pack([2, 0]).images(), direct.pack([2, 0]).images(), strict=True):
        assert min(a.shape[:2]) == 96
        assert torch.equal(a, b)
    for path in tmp_path.iterdir():
        path.unlink()
    assert kept.pack([1]).image(0).shape == (96, 144, 3)
    with pytest.raises(DataError, match="cannot read"):
        direct.pack([2])


def test_a_kept_set_is_one_piece_of_memory(tmp_path):
    store = ImageStore(list_samples([str(photos(tmp_path / "p", 5))]), 64)
    pack = store.pack([4, 1])
    assert pack.pixels.data_ptr() == store.kept.pixels.data_ptr()
    assert store.kept.pixels.numel() == sum((8 + i) * 9 * 3 for i in range(5))
    assert np.array_equal(pack.image(0), np.asarray(gradient(12, 9)))
