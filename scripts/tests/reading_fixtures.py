"""Small checkpoints in every container and with every oddity that PyTorch writes.

They are what the service's checkpoint reader is tested on, beside the values that PyTorch reads.
Write them anew with `.venv/bin/python scripts/tests/reading_fixtures.py`.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import pathlib
import pickle
import struct
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

FOLDER = Path(__file__).resolve().parents[2] / "test/unit/models/checkpoints/fixtures"
EXPECTED = FOLDER / "expected.json"
DTYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)
# The header of the format before PyTorch 1.6.
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001


def every_dtype() -> dict[str, Tensor]:
    """A tensor [2, 3] of every type, with negative and fractional numbers where it has them."""
    numbers = torch.tensor([[0.0, 1.5, 2.25], [-3.125, 100.0, -0.001]])
    whole = torch.tensor([[0, 1, 2], [-3, 100, -128]])
    tensors = {}
    for dtype in DTYPES:
        name = str(dtype).removeprefix("torch.")
        if dtype.is_floating_point:
            tensors[name] = numbers.to(dtype)
        elif dtype in (torch.uint8, torch.bool):
            tensors[name] = whole.abs().to(dtype)
        else:
            tensors[name] = whole.to(dtype)
    tensors["large"] = torch.tensor([2**62, -(2**40)])
    tensors["scalar"] = torch.tensor(4.5)
    tensors["empty"] = torch.zeros(0, 3)
    return tensors


def views() -> dict[str, Tensor]:
    """Tensors that share a storage and see it through offsets and strides."""
    base = torch.arange(24, dtype=torch.float32)
    halves = torch.arange(10, dtype=torch.float16)
    return {
        "whole": base.view(2, 3, 4),
        "transposed": base.view(2, 3, 4).permute(2, 0, 1),
        "column": base.view(6, 4)[:, 2],
        "slice": base[5:11],
        "step": base[1::5],
        "repeated": base[7:8].expand(2, 3),
        "alone": base.view(6, 4)[2:3, 1:2],
        "halves": halves[3:9].view(2, 3).T,
    }


def training_checkpoint() -> dict[str, Any]:
    """What a training writes: networks, optimizer, arguments, and values of several libraries."""
    torch.manual_seed(0)
    network = nn.ModuleDict(
        {
            "backbone": nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)),
            "head": nn.Linear(2, 4, bias=False),
        }
    )
    wrapped = nn.ModuleDict({"module": network})
    optimizer = torch.optim.AdamW(wrapped.parameters(), lr=0.0005)
    output = network["head"](network["backbone"](torch.ones(1, 3))).sum()
    output.backward()
    optimizer.step()
    tagged = nn.Parameter(torch.tensor([1.0, -2.0]))
    tagged.is_tagged = True
    factors = torch.ones(2)
    factors.note = "attribute"
    return {
        "student": wrapped.state_dict(),
        "teacher": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 99,
        "args": argparse.Namespace(
            arch="vit_small",
            patch_size=16,
            output_dir=pathlib.PurePosixPath("/runs/first"),
            device=torch.device("cuda", 1),
            global_crops_scale=(0.4, 1.0),
            seed=None,
            use_fp16=True,
            dtype=torch.float16,
        ),
        "dino_loss": {"center": torch.zeros(1, 4), "size": torch.Size([1, 4])},
        "tagged": tagged,
        "factors": factors,
        "history": collections.defaultdict(list, {"loss": [4.5, 3.25]}),
        "counts": collections.Counter(a=2),
        "best": np.float64(0.125),
        "steps": np.int64(2**40),
        "curve": np.arange(6, dtype=np.float32).reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
        "blob": b"\x00\xff",
        "set": {1, 2},
        "huge": 2**80,
        "text": "é \U0001f995",
    }


def save_zip(path: Path, value: object, protocol: int = 2) -> None:
    torch.save(value, path, pickle_protocol=protocol)


def save_legacy(path: Path, value: object) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


def rewrite_zip(path: Path, compression: int, change: Callable[[str, bytes], bytes]) -> None:
    """Writes an archive's parts again, changed."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name), change(name, data), compression)


def save_deflated(path: Path, value: object) -> None:
    save_zip(path, value)
    rewrite_zip(path, zipfile.ZIP_DEFLATED, lambda _, data: data)


def save_big_endian(path: Path, value: dict[str, Tensor]) -> None:
    """As a machine of the other byte order would; every tensor must be float32."""
    save_zip(path, value)

    def swap(name: str, data: bytes) -> bytes:
        if name.endswith("/byteorder"):
            return b"big"
        return np.frombuffer(data, "<f4").astype(">f4").tobytes() if "/data/" in name else data

    rewrite_zip(path, zipfile.ZIP_STORED, swap)


def save_old_views(path: Path) -> None:
    """The legacy format as PyTorch 0.x wrote it, when a storage could be a part of another."""

    class Part:
        def __init__(self, start: int, elements: int) -> None:
            self.start, self.elements = start, elements

    class Tensorish:
        def __init__(self, part: Part, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
            self.rebuild = (part, 0, shape, stride)

        def __reduce__(self) -> tuple[Any, ...]:
            return torch._utils._rebuild_tensor, self.rebuild

    class OldPickler(pickle.Pickler):
        def persistent_id(self, value: object) -> object:
            if not isinstance(value, Part):
                return None
            part = (f"part{value.start}", value.start, value.elements)
            return ("storage", torch.FloatStorage, "whole", "cpu", 8, part)

    with path.open("wb") as file:
        for header in (MAGIC_NUMBER, PROTOCOL_VERSION, {"little_endian": True}):
            pickle.dump(header, file, protocol=2)
        tensors = {
            "first": Tensorish(Part(0, 3), (3,), (1,)),
            "second": Tensorish(Part(4, 4), (2, 2), (1, 2)),
        }
        OldPickler(file, protocol=2).dump(tensors)
        pickle.dump(["whole"], file, protocol=2)
        file.write(struct.pack("<q8f", 8, *range(8)))


def save_script(path: Path) -> None:
    """A TorchScript program's folder, as far as it is recognised by its names."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py", "version"):
            archive.writestr(zipfile.ZipInfo(f"script/{name}"), b"")


def float32_tensors() -> dict[str, Tensor]:
    return {"weight": torch.arange(6, dtype=torch.float32).view(2, 3) / 7, "bias": torch.ones(2)}


SAVERS: dict[str, Callable[[Path], None]] = {
    "dtypes.pth": lambda path: save_zip(path, every_dtype()),
    "dtypes-protocol1.pth": lambda path: save_zip(path, every_dtype(), 1),
    "dtypes-protocol4.pth": lambda path: save_zip(path, every_dtype(), 4),
    "dtypes-protocol5.pth": lambda path: save_zip(path, every_dtype(), 5),
    "dtypes-legacy.pth": lambda path: save_legacy(path, every_dtype()),
    "dtypes.safetensors": lambda path: save_file(every_dtype(), path, {"format": "pt"}),
    "views.pth": lambda path: save_zip(path, views()),
    "views-legacy.pth": lambda path: save_legacy(path, views()),
    "views-deflated.pth": lambda path: save_deflated(path, views()),
    "old-views-legacy.pth": save_old_views,
    "big-endian.pth": lambda path: save_big_endian(path, float32_tensors()),
    "training.pth": lambda path: save_zip(path, training_checkpoint()),
    "training-legacy.pth": lambda path: save_legacy(path, training_checkpoint()),
}


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, save in SAVERS.items():
        save(folder / name)
    save_script(folder / "torchscript.pt")
    torch.save(nn.Linear(2, 2), folder / "whole-network.pth")
    torch.save({"eight": torch.ones(2).to(torch.float8_e4m3fn)}, folder / "float8.pth")


def read(path: Path) -> dict[str, Any]:
    """What PyTorch reads from a file: every tensor by its path, in float32."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        loaded: object = load_file(path)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(io.BytesIO(path.read_bytes()), weights_only=False)
    found: dict[str, Any] = {}

    def visit(name: str, value: object) -> None:
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value.astype(value.dtype.newbyteorder("=")))
        if isinstance(value, Tensor):
            found[name] = {
                "dtype": str(value.dtype).removeprefix("torch."),
                "shape": list(value.shape),
                "values": value.detach().to(torch.float32).flatten().tolist(),
            }
        elif isinstance(value, dict):
            for key, item in value.items():
                visit(f"{name}.{key}".removeprefix("."), item)
        elif isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                visit(f"{name}.{index}".removeprefix("."), item)

    visit("", loaded)
    return found


def expected(folder: Path) -> dict[str, Any]:
    return {name: read(folder / name) for name in SAVERS}


if __name__ == "__main__":
    write(FOLDER)
    EXPECTED.write_text(json.dumps(expected(FOLDER), indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(SAVERS)} checkpoints in {FOLDER}\n")
