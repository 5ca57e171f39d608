"""Writes an fp32 model folder of the service once more, in int8 with scales calibrated on photos.

python quantise.py --scripts scripts --model DIR --photos TAR --out DIR
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

# As many as an export takes.
PHOTOS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scripts", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    sys.path.insert(0, str(args.scripts))
    from dino_train.data import decode_sample, list_samples
    from dino_train.static_int8 import quantise_static

    manifest = json.loads((args.model / "manifest.json").read_text())
    samples = list_samples([args.photos])
    photos = [decode_sample(sample, 512) for sample in samples[:: len(samples) // PHOTOS + 1]]
    args.out.mkdir(parents=True)
    file = args.out / "model.onnx"
    crop = manifest["preprocessing"]["crop"]
    quantise_static(args.model / manifest["file"]["path"], file, photos, crop)
    content = file.read_bytes()
    manifest["name"] = args.out.name
    manifest["file"] = {
        **manifest["file"],
        "path": file.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "precision": "int8",
    }
    (args.out / "manifest.json").write_text(json.dumps(manifest))


if __name__ == "__main__":
    main()
