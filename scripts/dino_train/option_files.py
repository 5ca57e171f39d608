"""Options kept in a file: `train.py @args.txt`."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# What the authors' launcher and distributed setup add to the arguments they publish. It describes
# their cluster, not the training.
CLUSTER_KEYS = frozenset(
    {
        "comment",
        "dist_backend",
        "gpu",
        "job_dir",
        "ngpus",
        "nodes",
        "partition",
        "rank",
        "timeout",
        "use_volta32",
        "world_size",
    }
)
_KEY_VALUE = re.compile(r"\s*([A-Za-z_][\w-]*)\s*:\s*(.*?)\s*")


class OptionFileError(ValueError):
    """A file of options is missing or has no form that is understood."""


def expand_option_files(arguments: Sequence[str]) -> list[str]:
    """Replaces each `@FILE` by the arguments that the file holds.

    Three forms: `key: value` lines, as the authors publish and as flat YAML has them; a JSON
    object; a command line over any number of lines. `#` begins a comment. Later arguments win.

    Raises:
        OptionFileError: if a file cannot be read or is of another form.
    """
    expanded: list[str] = []
    for argument in arguments:
        if argument.startswith("@"):
            expanded += _read(Path(argument[1:]))
        else:
            expanded.append(argument)
    return expanded


def _read(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionFileError(f"cannot read options from {path}: {error}") from error
    if text.lstrip().startswith("{"):
        try:
            return _arguments(json.loads(text))
        except json.JSONDecodeError as error:
            raise OptionFileError(f"{path} is no JSON object: {error}") from error
    lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] != "#"]
    if lines and lines[0].lstrip().startswith("-"):
        return shlex.split(text, comments=True)
    values: dict[str, Any] = {}
    for line in lines:
        match = _KEY_VALUE.fullmatch(line)
        if not match:
            raise OptionFileError(f"{path}: expected `key: value`, found {line.strip()!r}")
        values[match[1]] = _value(match[2])
    return _arguments(values)


def _value(text: str) -> Any:
    """A list or tuple as one, anything else as its text, without a comment or quotes."""
    text = re.sub(r"\s+#.*$", "", text)
    if text[:1] in "([\"'":
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text
    return text


def _arguments(values: dict[str, Any]) -> list[str]:
    arguments: list[str] = []
    for key, value in values.items():
        if key in CLUSTER_KEYS or value in (None, "", "None", "null"):
            continue
        # A switch has no value; options with one are never called `true` alone.
        if key in {"resume", "allow_changes"}:
            arguments += [f"--{key}"] if str(value).lower() == "true" else []
            continue
        arguments.append(f"--{key}")
        arguments += [str(v) for v in value] if isinstance(value, (list, tuple)) else [str(value)]
    return arguments
