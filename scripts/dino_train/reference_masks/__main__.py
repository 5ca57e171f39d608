"""Writes the files of test cases: `python -m dino_train.reference_masks FOLDER`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .cases import (
    case_document,
    drawn_cases,
    drawn_pictures,
    model_cases,
    picture_document,
)
from .cosegment_cases import cosegment_cases, cosegment_document

MADE_BY = "python -m dino_train.reference_masks, in scripts/"


def main(arguments: list[str] | None = None) -> None:
    """Writes the `...-reference.json` of key masks, refinement and co-segmentation."""
    root = Path(__file__).resolve().parents[3]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, default=root / "models" / "dino-vitmicro16-photos")
    options = parser.parse_args(arguments)
    golden = root / "test" / "golden"
    pictures = sorted(path for path in golden.iterdir() if path.suffix in {".png", ".jpg"})
    keys = [*drawn_cases(), *model_cases(options.model, pictures)]
    documents = {
        "key-masks": [case_document(*case) for case in keys],
        "cosegment": [
            cosegment_document(*case) for case in cosegment_cases(options.model, pictures)
        ],
        "bilateral": [picture_document(*case) for case in drawn_pictures()],
    }
    for name, cases in documents.items():
        text = json.dumps({"madeBy": MADE_BY, "cases": cases}, indent=2)
        (options.folder / f"{name}-reference.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
