"""WebDataset shards, local or behind URLs: which there are, and their samples one after another."""

from __future__ import annotations

import glob
import itertools
import json
import tarfile
import urllib.parse
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from webdataset.gopen import gopen
from webdataset.tariterators import group_by_keys, tar_file_expander

from .data import IMAGE_SUFFIXES, DataError, expand_braces
from .http_file import HttpFile

COMPRESSED_TARS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
READ_ERRORS = (tarfile.TarError, OSError, EOFError, zlib.error)


@dataclass(frozen=True)
class Shard:
    """One tar file.

    Attributes:
        url: path, URL or `pipe:` command.
        images: in it; None when nobody has said.
    """

    url: str
    images: int | None = None

    @property
    def name(self) -> str:
        """File name, for messages and provenance."""
        return self.url if self.url.startswith("pipe:") else self.url.rpartition("/")[2]


def is_remote(path: str) -> bool:
    """Whether a path is a URL or a command."""
    return "://" in path or path.startswith(("pipe:", "file:"))


def is_streamed(data_path: Sequence[str], stream: bool) -> bool:
    """Whether images are to be read shard by shard, and not in any order.

    Args:
        data_path: folders, tar shards, URLs of shards or indices of shards.
        stream: read local shards so, too.

    Raises:
        DataError: if some can only be streamed and others cannot be.
    """
    must = [p for p in data_path if is_remote(p) or p.endswith((".json", *COMPRESSED_TARS))]
    if not must and not stream:
        return False
    for path in data_path:
        if path not in must and Path(path).is_dir():
            reason = f"{must[0]} is" if must else "--stream asks for shards to be"
            raise DataError(f"{reason} read in sequence, which the folder {path} cannot be")
    return True


def list_shards(data_path: Sequence[str]) -> list[Shard]:
    """Lists shards in a stable order.

    Args:
        data_path: paths (wildcards allowed), URLs, `pipe:` commands, all with braces; and `.json`
            files in the format of the library's `widsindex`, which tell the images per shard.

    Raises:
        DataError: if one is missing, or an index cannot be read.
    """
    shards: list[Shard] = []
    for path in itertools.chain.from_iterable(map(expand_braces, data_path)):
        if path.endswith(".json"):
            shards += _read_index(path)
        elif is_remote(path):
            shards.append(Shard(path))
        else:
            found = [path] if Path(path).exists() else sorted(glob.glob(path))
            if not found:
                raise DataError(f"no such tar file: {path}")
            shards += map(Shard, found)
    return shards


def _read_index(path: str) -> list[Shard]:
    try:
        with closing(open_shard(path)) as file:
            entries = json.loads(file.read())["shardlist"]
        folder = path.rpartition("/")[0]
        return [
            Shard(_beside(folder, str(entry["url"])), int(entry["nsamples"])) for entry in entries
        ]
    except READ_ERRORS as error:
        raise DataError(f"cannot read the index {path}: {_reason(error)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f'{path} is no index of shards: expected {{"shardlist": [{{"url": "a.tar", '
            f'"nsamples": 100}}, ...]}} ({type(error).__name__}: {error})'
        ) from error


def _beside(folder: str, url: str) -> str:
    if is_remote(url) or url.startswith("/") or not folder:
        return url
    return f"{folder}/{url}"


def open_shard(url: str) -> BinaryIO | HttpFile:
    """Opens a path, URL or `pipe:` command for reading in sequence.

    Raises:
        OSError: if it cannot be opened.
    """
    if urllib.parse.urlsplit(url).scheme in ("http", "https"):
        return HttpFile(url)
    # The library also knows pipe:, s3:, gs:, hf: and others, by their command line programs.
    return gopen(url) if is_remote(url) else open(url, "rb")


def read_shards(shards: Iterable[Shard]) -> Iterator[tuple[Shard, str, bytes]]:
    """Reads shards in sequence: (shard, name of the sample, encoded image).

    Raises:
        DataError: if a shard cannot be opened, is no tar file, is cut short or has no images.
    """
    current: Shard | None = None
    # Closes what is open when a shard fails in the middle.
    streams = ExitStack()

    def opened() -> Iterator[dict[str, Any]]:
        nonlocal current
        for shard in shards:
            current = shard
            stream = streams.enter_context(closing(open_shard(shard.url)))
            yield {"url": shard.url, "stream": stream}
            # A command's failure shows at its end; closing early would hide it.
            while stream.read(1 << 20):
                pass
            streams.close()

    def watched(files: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        images = 0
        for file in files:
            # The library marks the end of a shard by an empty file.
            if not file and not images:
                suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
                raise DataError(f"no images ({suffixes}) in {current.url}")
            images = images + 1 if file else 0
            yield file

    try:
        for sample in group_by_keys(watched(tar_file_expander(opened(), select_files=_is_image))):
            image = next(v for k, v in sample.items() if f".{k}" in IMAGE_SUFFIXES)
            yield current, sample["__key__"], image
    except READ_ERRORS as error:
        raise DataError(f"cannot read the shard {current.url}: {_reason(error)}") from error
    except ValueError as error:
        raise DataError(f"{current.url} is no WebDataset shard: {_reason(error)}") from error
    finally:
        with suppress(OSError):
            streams.close()


def _is_image(name: str) -> bool:
    extension = name.rpartition("/")[2].partition(".")[2]
    return f".{extension.lower()}" in IMAGE_SUFFIXES


def _reason(error: Exception) -> str:
    # The library appends streams and URLs to the arguments of exceptions.
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error.args[0]).partition(" @ ")[0] if error.args else type(error).__name__


def count_images(shards: Sequence[Shard], notify: Callable[[str], None]) -> list[Shard]:
    """Fills in how many images shards hold, by reading those that no index speaks of."""
    unknown = [shard for shard in shards if shard.images is None]
    if unknown:
        number = f"{len(unknown)} shard" + "s" * (len(unknown) > 1)
        notify(f"counting the images of {number}; --samples_per_epoch saves this")
    return [
        Shard(s.url, sum(1 for _ in read_shards([s]))) if s.images is None else s for s in shards
    ]
