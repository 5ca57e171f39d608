"""Each name of `dino models pull`, from a server that breaks downloads.

What is served has the names, shapes and containers of the published weights, and random numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from faulty_server import FaultyServer, Served, serve

from dino_train.random_checkpoints import random_network, write_checkpoint

ROOT = Path(__file__).parents[2]
DINO = ROOT / "dist" / "cli" / "dino.js"

pytestmark = pytest.mark.skipif(
    not DINO.exists(), reason="the service is not built: run npm run build"
)

# name, file below the public address, architecture, patch size, published k-NN and linear accuracy
DINO_V1 = (
    ("dino-vits16", "dino_deitsmall16_pretrain", "vit_small", 16, 74.5, 77.0),
    ("dino-vits8", "dino_deitsmall8_pretrain", "vit_small", 8, 78.3, 79.7),
    ("dino-vitb16", "dino_vitbase16_pretrain", "vit_base", 16, 76.1, 78.2),
    ("dino-vitb8", "dino_vitbase8_pretrain", "vit_base", 8, 77.4, 80.1),
    ("dino-resnet50", "dino_resnet50_pretrain", "resnet50", None, 67.5, 75.3),
    ("dino-xcit-small-12-p16", "dino_xcit_small_12_p16_pretrain", "xcit_small_12", 16, 76.0, 77.8),
    ("dino-xcit-small-12-p8", "dino_xcit_small_12_p8_pretrain", "xcit_small_12", 8, 77.1, 79.2),
    (
        "dino-xcit-medium-24-p16",
        "dino_xcit_medium_24_p16_pretrain",
        "xcit_medium_24",
        16,
        76.4,
        78.8,
    ),
    ("dino-xcit-medium-24-p8", "dino_xcit_medium_24_p8_pretrain", "xcit_medium_24", 8, 77.9, 80.3),
)
# The large and the giant ones differ from these by their sizes alone.
DINO_V2 = (
    ("dinov2-vits14", "dinov2_vits14/dinov2_vits14_pretrain.pth", "dinov2_vits14", 79.0, 81.1),
    (
        "dinov2-vits14-reg4",
        "dinov2_vits14/dinov2_vits14_reg4_pretrain.pth",
        "dinov2_vits14_reg",
        79.1,
        80.9,
    ),
    ("dinov2-vitb14", "dinov2_vitb14/dinov2_vitb14_pretrain.pth", "dinov2_vitb14", 82.1, 84.5),
    (
        "dinov2-vitb14-reg4",
        "dinov2_vitb14/dinov2_vitb14_reg4_pretrain.pth",
        "dinov2_vitb14_reg",
        82.0,
        84.6,
    ),
)
CASES = [
    (name, f"{file}/{file}.pth", arch, patch, knn, linear)
    for name, file, arch, patch, knn, linear in DINO_V1
] + [(name, path, arch, None, knn, linear) for name, path, arch, knn, linear in DINO_V2]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is gone afterwards: pytest would keep hundreds of megabytes per test."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with serve() as running:
        yield running


def pull_command(name: str, url: str, data: Path) -> list[str]:
    """The command line of one pull."""
    folder = ["--data-dir", str(data)]
    return ["node", str(DINO), "models", "pull", name, "--from", url, *folder, "--json"]


def pull(name: str, url: str, data: Path) -> dict[str, Any]:
    """Pulls to the end. Returns what was installed."""
    command = pull_command(name, url, data)
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def kill_midway(name: str, server: FaultyServer, served: Served, data: Path) -> None:
    """Pulls until the server stalls, and ends the process as a power cut would."""
    process = subprocess.Popen(
        pull_command(name, server.url, data), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert served.stalled.wait(timeout=600)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def write_random(path: Path, kind: str, arch: str, patch_size: int | None) -> None:
    """Writes a random checkpoint of the true shapes."""
    network = random_network(arch, patch_size)
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        write_checkpoint(network, path, kind, arch, patch_size or 0)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expect_ranges(served: Served) -> None:
    """The first request is for the whole file, each later one for a shorter rest."""
    assert served.ranges[0] is None
    starts = [
        int(str(wanted).removeprefix("bytes=").removesuffix("-")) for wanted in served.ranges[1:]
    ]
    assert len(starts) == 2
    assert 0 < starts[0] < starts[1]


def break_twice(served: Served) -> None:
    """The connection is cut after a third, and what goes on from there stalls after another."""
    third = served.path.stat().st_size // 3
    served.faults = [("cut", third), ("stall", third)]


@pytest.mark.parametrize(("name", "path", "arch", "patch", "knn", "linear"), CASES)
def test_a_published_model_is_pulled_through_a_cut_connection_and_a_killed_process(
    name: str,
    path: str,
    arch: str,
    patch: int | None,
    knn: float,
    linear: float,
    server: FaultyServer,
    folder: Path,
) -> None:
    file = folder / "weights.pth"
    write_random(file, "pytorch", arch, patch)
    served = server.files[path] = Served(file)
    break_twice(served)
    data = folder / "data"
    kill_midway(name, server, served, data)
    assert [entry.name for entry in (data / "models").iterdir()] == [".downloads"]

    installed = pull(name, server.url, data)
    expect_ranges(served)
    manifest = installed["manifest"]
    digest = sha256_of(file)
    assert manifest["name"] == name
    assert manifest["source"] == {"from": server.url + path, "sha256": digest, "format": "pytorch"}
    published = manifest["evaluation"]["published"]
    assert (published["knnTop1"], published["linearTop1"]) == (knn, linear)
    assert manifest["licence"] == "Apache-2.0"
    assert sha256_of(data / "models" / name / "model.onnx") == installed["fingerprint"]
    checksums = json.loads((data / "models" / "checksums.json").read_text())
    assert [record["sha256"] for record in checksums.values()] == [digest]
    assert sorted(entry.name for entry in (data / "models").iterdir()) == sorted(
        ["checksums.json", name]
    )


@pytest.mark.parametrize(
    ("repository", "arch", "patch"),
    [
        ("facebook/dino-vits16", "vit_small", 16),
        ("facebook/dinov2-with-registers-small", "dinov2_vits14_reg", None),
    ],
)
def test_a_repository_of_the_hub_is_pulled_through_a_cut_connection_and_a_killed_process(
    repository: str, arch: str, patch: int | None, server: FaultyServer, folder: Path
) -> None:
    hub = folder / "hub"
    write_random(hub, "huggingface", arch, patch)
    (hub / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    base = f"{repository}/resolve/main/"
    for name in ("config.json", "model.safetensors", "README.md"):
        server.files[base + name] = Served(hub / name)
    served = server.files[base + "model.safetensors"]
    break_twice(served)
    data = folder / "data"
    kill_midway(repository, server, served, data)

    installed = pull(repository, server.url, data)
    expect_ranges(served)
    manifest = installed["manifest"]
    assert installed["name"] == repository.split("/")[1]
    assert manifest["source"]["sha256"] == sha256_of(hub / "model.safetensors")
    assert manifest["source"]["format"] == "huggingface"
    assert manifest["evaluation"]["published"]["dataset"] == "ImageNet-1k"
    assert manifest["licence"] == "Apache-2.0"


class QuietHandler(SimpleHTTPRequestHandler):
    """Python's own file server: HTTP/1.0, so each connection is closed behind its answer."""

    def log_message(self, *args: object) -> None:
        pass


def test_a_plain_file_server_that_closes_each_connection_will_do_as_a_mirror(folder: Path) -> None:
    file = folder / "mirror" / "dino_deitsmall16_pretrain" / "dino_deitsmall16_pretrain.pth"
    write_random(file, "pytorch", "vit_small", 16)
    handler = partial(QuietHandler, directory=str(folder / "mirror"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as mirror:
        threading.Thread(target=mirror.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{mirror.server_address[1]}/"
        installed = pull("dino-vits16", url, folder / "data")
        mirror.shutdown()
    assert installed["manifest"]["source"]["sha256"] == sha256_of(file)
