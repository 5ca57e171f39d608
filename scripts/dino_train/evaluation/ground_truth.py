"""The lists and labels of the Revisited Oxford and Paris benchmarks."""

from __future__ import annotations

import codecs
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .error import EvaluationError


@dataclass(frozen=True)
class Query:
    """A query and what is right for it.

    Attributes:
        name: of the image, without its ending.
        box: left, top, right, lower in pixels of the building in it; None where it is not given.
        easy: indices of the database.
        hard: the same.
        junk: the same.
    """

    name: str
    box: tuple[float, float, float, float] | None
    easy: list[int]
    hard: list[int]
    junk: list[int]


@dataclass(frozen=True)
class Benchmark:
    """A retrieval benchmark.

    Attributes:
        name: roxford5k, rparis6k or one's own.
        images: folder of the images.
        database: names without their ending.
        queries: in order.
    """

    name: str
    images: Path
    database: list[str]
    queries: list[Query]


def _array_parts() -> dict[tuple[str, str], Callable[..., Any]]:
    """What pickles of numpy arrays of every version are made of; none of it runs foreign code."""
    from numpy._core import multiarray, numeric

    parts: dict[tuple[str, str], Callable[..., Any]] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): codecs.encode,
    }
    for package in ("numpy.core", "numpy._core"):
        parts[package + ".multiarray", "_reconstruct"] = multiarray._reconstruct
        parts[package + ".multiarray", "scalar"] = multiarray.scalar
        parts[package + ".numeric", "_frombuffer"] = numeric._frombuffer
    return parts


class _ArrayUnpickler(pickle.Unpickler):
    """Reads containers, numbers, texts and arrays; refuses everything else by name."""

    allowed = _array_parts()

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it would load {module}.{name}") from None


def load_benchmark(root: Path, name: str) -> Benchmark:
    """Reads ROOT/NAME/gnd_NAME.pkl, or gnd_NAME.json with the same content, and ROOT/NAME/jpg.

    Raises:
        EvaluationError: if a file or folder is missing, unsafe or not of this form.
    """
    folder = root / name
    as_json, as_pickle = folder / f"gnd_{name}.json", folder / f"gnd_{name}.pkl"
    path = as_json if as_json.is_file() else as_pickle
    if not path.is_file():
        raise EvaluationError(f"there is no {as_pickle} and no {as_json.name}")
    if not (folder / "jpg").is_dir():
        raise EvaluationError(f"there is no folder {folder / 'jpg'} with the images")
    try:
        if path == as_json:
            content = json.loads(path.read_text(encoding="utf-8"))
        else:
            with path.open("rb") as file:
                # The published files were written by Python 2.
                content = _ArrayUnpickler(file, encoding="latin1").load()
    except (pickle.UnpicklingError, ValueError, EOFError, AttributeError, IndexError) as error:
        raise EvaluationError(f"{path} is refused: {error}") from error
    try:
        queries = [
            _query(query, truth)
            for query, truth in zip(content["qimlist"], content["gnd"], strict=True)
        ]
        database = [str(image) for image in content["imlist"]]
    except (KeyError, TypeError, ValueError) as error:
        raise EvaluationError(
            f"{path} has no imlist, qimlist and gnd of easy, hard and junk: {error!r}"
        ) from error
    indices = [i for q in queries for i in (*q.easy, *q.hard, *q.junk)]
    if any(not 0 <= index < len(database) for index in indices):
        raise EvaluationError(f"{path} names images beyond the {len(database)} of imlist")
    return Benchmark(name, folder / "jpg", database, queries)


def _query(name: Any, truth: Any) -> Query:
    kinds = {kind: [int(i) for i in truth[kind]] for kind in ("easy", "hard", "junk")}
    box = truth.get("bbx")
    if box is not None:
        left, top, right, lower = (float(side) for side in box)
        box = (left, top, right, lower)
    return Query(str(name), box, **kinds)
