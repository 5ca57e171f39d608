"""WebDataset shards: streamed from a server on this machine, from commands and from files."""

from __future__ import annotations

import gzip
import io
import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_shard
from PIL import Image

from dino_train import http_file
from dino_train.data import DataError
from dino_train.loader import ViewLoader
from dino_train.multicrop import MultiCropOptions
from dino_train.shard_source import ShardSource
from dino_train.shards import is_streamed, list_shards, read_shards
from dino_train.view_source import InputOptions

CROPS = MultiCropOptions((0.4, 1.0), (0.05, 0.4), 1, 16, 8)
SHARDS, PER_SHARD = 8, 6


def picture(number: int) -> bytes:
    """An image whose colour is its number."""
    buffer = io.BytesIO()
    Image.new("RGB", (20, 18 + number % 3), (number, 255 - number, 7)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight shards of six numbered images each, and broken ones."""
    root = tmp_path_factory.mktemp("shards")
    for shard in range(SHARDS):
        files = {}
        for n in range(PER_SHARD):
            files[f"class/{n}.png"] = picture(shard * PER_SHARD + n)
            files[f"class/{n}.cls"] = b"class"
        write_shard(root / f"s-{shard}.tar", files)
    (root / "s-0.tar.gz").write_bytes(gzip.compress((root / "s-0.tar").read_bytes()))
    (root / "text.tar").write_bytes(b"no tar file at all " * 100)
    (root / "cut.tar").write_bytes((root / "s-1.tar").read_bytes()[:3700])
    (root / "zip.tar.gz").write_bytes((root / "s-0.tar.gz").read_bytes()[:300])
    (root / "empty.tar").write_bytes(b"")
    write_shard(root / "notes.tar", {"a.txt": b"no image", "b.json": b"{}"})
    write_shard(root / "bad.tar", {"0.png": picture(1), "1.png": b"rotten", "2.png": picture(3)})
    write_shard(root / "worse.tar", {"0.png": b"rotten", "1.png": b"rotten"})
    return root


class Server(ThreadingHTTPServer):
    """Serves a folder; may break connections off and refuse ranges."""

    break_after: int | None = None
    ranges = True
    busy = 0

    def __init__(self, folder: Path) -> None:
        self.requests: Counter[str] = Counter()
        server = self

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *args) -> None:
                super().__init__(*args, directory=str(folder))

            def log_message(self, *_) -> None:
                pass

            def do_GET(self) -> None:
                server.requests[self.path] += 1
                if server.busy:
                    server.busy -= 1
                    self.send_error(503)
                    return
                path = Path(self.translate_path(self.path))
                if not path.is_file():
                    self.send_error(404)
                    return
                data, start = path.read_bytes(), 0
                wanted = self.headers.get("Range")
                if wanted and server.ranges:
                    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                end = len(data) if server.break_after is None else start + server.break_after
                self.wfile.write(data[start:end])

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(http_file, "FIRST_PAUSE_SECONDS", 0.01)
    server = Server(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def source(*paths: str, **options) -> ShardSource:
    options = {"batch_size": 4, "stream": True, **options}
    return ShardSource(InputOptions(paths, CROPS, **options))


def numbers(batches) -> list[list[int]]:
    """Which images a stream of packs holds."""
    return [[int(image[0, 0, 0]) for image in pack.images()] for pack in batches]


def one_pass(shards: ShardSource, epoch: int) -> list[int]:
    shards.stream.epoch = epoch
    return list(chain.from_iterable(numbers(shards.loader)))


def test_each_sample_comes_once_per_epoch_over_ranks_and_workers(server):
    url = f"{server.url}/s-{{0..{SHARDS - 1}}}.tar"
    known = {"samples_per_epoch": SHARDS * PER_SHARD, "num_workers": 2, "world_size": 2}
    ranks = [source(url, rank=r, **known) for r in range(2)]
    epochs = []
    for epoch in range(2):
        parts = [one_pass(rank, epoch) for rank in ranks]
        assert [len(part) for part in parts] == [SHARDS * PER_SHARD // 2] * 2
        assert sorted(chain.from_iterable(parts)) == list(range(SHARDS * PER_SHARD))
        epochs.append(parts)
    # Each shard was fetched once per epoch, and nothing was fetched to count.
    assert set(server.requests.values()) == {2}
    assert len(server.requests) == SHARDS
    assert epochs[0] != epochs[1]
    assert epochs[0][0] != sorted(epochs[0][0])
    assert one_pass(ranks[0], 1) == epochs[1][0]
    # The shards are dealt anew, too: the ranks' shares differ from epoch to epoch.
    assert set(epochs[0][0]) != set(epochs[1][0])


def test_uneven_shards_lose_nothing_in_a_pass(server, folder):
    odd = [f"{server.url}/s-{i}.tar" for i in range(3)] + [f"{server.url}/bad.tar"]
    ranks = [source(*odd, rank=r, world_size=2, num_workers=2, max_bad_images=0.5) for r in (0, 1)]
    assert ranks[0].images == 21
    seen = list(chain.from_iterable(one_pass(rank, 0) for rank in ranks))
    assert len(seen) == 20
    assert set(seen) == set(range(18))


def test_all_ranks_make_as_many_steps_whatever_their_shards_hold(folder):
    uneven = [str(folder / "s-0.tar"), str(folder / "s-1.tar"), str(folder / "bad.tar")]
    for workers in (0, 2):
        ranks = [
            source(*uneven, rank=r, world_size=2, num_workers=workers, max_bad_images=0.5,
                   batch_size=3)
            for r in range(2)
        ]  # fmt: skip
        assert ranks[0].images == 15
        steps = [numbers(rank.batches(0, 0)) for rank in ranks]
        assert [[len(batch) for batch in rank] for rank in steps] == [[3, 3], [3, 3]]


def test_views_of_an_epoch_are_reproduced_and_can_be_entered_in_the_middle(folder):
    def load(epoch: int, first_step: int = 0, **options) -> list[list[torch.Tensor]]:
        options = {"augment": "sample", "seed": 5, "stream": True, **options}
        path = [str(folder / "s-*.tar")]
        loader = ViewLoader(InputOptions(path, CROPS, 7, **options))
        assert len(loader) == 6
        loader.set_epoch(epoch, first_step)
        return list(loader)

    for augment, workers in (("sample", 2), ("batch", 0)):
        how = {"augment": augment, "num_workers": workers}
        whole = load(1, **how)
        assert [group.shape[0] for group in whole[0]] == [14, 7]
        rest = load(1, 4, **how)
        assert all(torch.equal(a[1], b[1]) for a, b in zip(whole[4:], rest, strict=True))
        assert not torch.equal(whole[0][0], load(2, **how)[0][0])


def test_compressed_shards_commands_and_files_give_the_same(folder, server):
    paths = [
        str(folder / "s-0.tar"),
        str(folder / "s-0.tar.gz"),
        f"file:{folder}/s-0.tar",
        f"pipe:cat {folder}/s-0.tar",
        f"{server.url}/s-0.tar.gz",
    ]
    for path in paths:
        assert sorted(one_pass(source(path), 0)) == list(range(PER_SHARD))


def test_an_index_tells_the_counts(folder, server, tmp_path, capsys):
    entries = [{"url": f"s-{i}.tar", "nsamples": PER_SHARD} for i in range(2)]
    index = folder / "index.json"
    index.write_text(json.dumps({"wids_version": 1, "shardlist": entries}))
    for path in (str(index), f"{server.url}/index.json"):
        shards = source(path)
        assert shards.images_by_source == {"s-0.tar": PER_SHARD, "s-1.tar": PER_SHARD}
        assert sorted(one_pass(shards, 0)) == list(range(2 * PER_SHARD))
    assert "counting" not in capsys.readouterr().err
    assert source(f"{server.url}/s-{{0,1}}.tar").images == 2 * PER_SHARD
    assert "counting the images of 2 shards" in capsys.readouterr().err
    index.write_text('{"shards": []}')
    with pytest.raises(DataError, match=r"index\.json is no index of shards: expected"):
        source(str(index))


def test_a_broken_connection_is_taken_up_again(server):
    server.break_after = 5000
    server.busy = 2
    shards = source(f"{server.url}/s-0.tar", samples_per_epoch=6)
    assert sorted(one_pass(shards, 0)) == list(range(PER_SHARD))
    assert server.requests["/s-0.tar"] > 3
    server.ranges = False
    with pytest.raises(DataError, match=r"cannot read the shard http.*s-0\.tar: broke off at byte"):
        source(f"{server.url}/s-0.tar")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("{url}/missing.tar", r"cannot read the shard http\S+/missing\.tar: HTTP status 404"),
        ("http://127.0.0.1:9/s.tar", r"cannot read the shard http\S+: no connection: .*refused"),
        ("{folder}/text.tar", r"cannot read the shard \S+/text\.tar: invalid header"),
        ("{folder}/cut.tar", r"cannot read the shard \S+/cut\.tar: unexpected end of data"),
        ("{folder}/zip.tar.gz", r"cannot read the shard \S+/zip\.tar\.gz: "),
        ("{folder}/empty.tar", r"cannot read the shard \S+/empty\.tar: "),
        ("{folder}/notes.tar", r"no images \(.*\.jpg.*\) in \S+/notes\.tar"),
        ("{folder}", r"cannot read the shard \S+: Is a directory"),
        ("{folder}/nothing-*.tar", r"no such tar file: \S+/nothing-\*\.tar"),
        ("pipe:cat {folder}/missing.tar 2>/dev/null", r"cannot read the shard pipe:cat"),
        ("pipe:cat {folder}/s-0.tar; exit 3", r"cannot read the shard pipe:cat .*exit 3"),
        ("{folder}/missing.json", r"cannot read the index \S+: No such file"),
    ],
)
def test_wrong_shards_are_named(folder, server, path, message):
    with pytest.raises(DataError, match=message):
        source(path.format(folder=folder, url=server.url))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_shard_that_breaks_while_training_is_a_plain_error(folder, workers):
    shards = source(str(folder / "cut.tar"), samples_per_epoch=12, num_workers=workers)
    with pytest.raises(DataError) as error:
        list(shards.batches(0, 0))
    assert str(error.value).startswith("cannot read the shard")
    assert "Traceback" not in str(error.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_images_of_streams_are_counted_and_skipped(folder, workers):
    options = {"num_workers": workers, "batch_size": 2, "max_bad_images": 0.5}
    loader = ViewLoader(InputOptions([str(folder / "bad.tar")], CROPS, stream=True, **options))
    assert len(list(loader)) == 1
    assert [m.partition(".tar")[0] for m in loader.bad_images.messages] == [
        "cannot decode image bad"
    ]
    strict = InputOptions([str(folder / "bad.tar")], CROPS, 2, stream=True)
    with pytest.raises(DataError, match=r"1 of 3 images cannot be read.*bad\.tar: 1"):
        list(ViewLoader(strict))
    worse = InputOptions([str(folder / "worse.tar")], CROPS, 2, stream=True, max_bad_images=1.0)
    with pytest.raises(DataError, match="none of the images can be read"):
        list(ViewLoader(worse))


def test_more_processes_than_shards_are_refused(folder):
    with pytest.raises(DataError, match="1 shards are too few for 2 processes"):
        source(str(folder / "s-0.tar"), world_size=2)


def test_what_must_be_streamed_is(folder):
    tar = str(folder / "s-0.tar")
    assert not is_streamed([tar, str(folder)], False)
    assert is_streamed([tar], True)
    assert is_streamed(["https://example.org/a.tar", tar], False)
    assert is_streamed([f"{tar}.gz"], False)
    assert is_streamed(["index.json"], False)
    with pytest.raises(DataError, match="read in sequence, which the folder"):
        is_streamed(["pipe:cat a.tar", str(folder)], False)


def test_braces_of_commands_stay_where_they_list_nothing(folder):
    command = f"pipe:sh -c '{{ cat {folder}/s-{{0,1}}.tar; }}'"
    urls = [shard.url for shard in list_shards([command])]
    assert urls == [f"pipe:sh -c '{{ cat {folder}/s-{i}.tar; }}'" for i in (0, 1)]
    assert len(list(read_shards(list_shards([command])))) == 2 * PER_SHARD


def test_keys_do_not_depend_on_who_reads(folder):
    alone = source(str(folder / "s-*.tar"))
    keys = np.concatenate([pack.keys for pack in alone.loader])
    assert len(set(keys.tolist())) == SHARDS * PER_SHARD
    ranks = [source(str(folder / "s-*.tar"), rank=r, world_size=2) for r in range(2)]
    parts = np.concatenate([pack.keys for rank in ranks for pack in rank.loader])
    assert set(parts.tolist()) == set(keys.tolist())
