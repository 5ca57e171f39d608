"""The README of a model folder, generated so that no number is copied by hand."""

from __future__ import annotations

from typing import Any

from .manifest import ATTENTION_SIZE

TRAINING_LOG = "training-log.jsonl"
LIMITS = """\
- The features carry the biases of the training images above; measure on your own before relying on
  them, and do not use them to tell or judge people.
- They change little under what the training views change: light, small shifts of colour, scale,
  framing and mirroring. Where left and right or exact colour matter, measure that first.
- A network trained on little data for a short time is good for tests and first steps; longer
  training on more images gives better neighbours and masks."""


def model_card(manifest: dict[str, Any], has_log: bool) -> str:
    """Writes a model card in Markdown from a manifest.

    Args:
        manifest: of an exported model, with or without an evaluation.
        has_log: whether the training log lies beside it.

    Returns:
        The text of README.md.
    """
    architecture, training = manifest["architecture"], manifest["training"]
    file, preparation = manifest["file"], manifest["preprocessing"]
    images = sum(entry["images"] for entry in training["data"])
    minutes = round(training["seconds"] / 60)
    name = architecture["variant"].replace("vit_", "ViT-").replace("-t", "-T").replace("-s", "-S")
    lines = [
        f"# {manifest['name']}",
        "",
        f"{manifest['description'].rstrip('.')}. Generated from `manifest.json` by "
        "`python scripts/evaluate.py card`.",
        "",
        "| | |",
        "| --- | --- |",
        f"| architecture | {name}, patch {architecture['patchSize']}, dimension "
        f"{architecture['embedDim']}, {architecture['depth']} blocks"
        + (f", {architecture['heads']} heads |" if "heads" in architecture else " |"),
        f"| file | `{file['path']}`, {file['bytes'] / 1e6:.1f} MB, {file['precision']}, ONNX opset "
        f"{file['opset']} |",
        f"| SHA-256 | `{file['sha256']}` |",
        f"| embeddings | shorter side {preparation['resize']} px (bicubic), centre "
        f"{preparation['crop']} px; any multiple of {architecture['patchSize']} px works |",
        f"| attention and masks | {ATTENTION_SIZE} px |",
        f"| largest difference to PyTorch | "
        f"{max(manifest['parity']['maxAbsDiff'].values()):.1e} over "
        f"{len(manifest['parity']['sizes'])} sizes |",
        f"| licence of the weights | {manifest['licence']} |",
        "",
        "## Training",
        "",
        f"{training['method']}, without labels. Epochs: {training['epochs']}, over {images} "
        f"images. Time: {minutes} minutes on {training['hardware']}, {training['date']}. Seed: "
        f"{training['seed']}." + (f" Metrics of each epoch: `{TRAINING_LOG}`." if has_log else ""),
        "",
        "| data | images | licence | source |",
        "| --- | --- | --- | --- |",
        *(
            f"| {entry['name']} | {entry['images']} | {entry.get('licence', 'not stated')} "
            f"| {entry.get('source', '')} |"
            for entry in training["data"]
        ),
        "",
        "```sh",
        training["command"].replace(" && ", " &&\n"),
        "```",
        "",
    ]
    results = manifest["evaluation"]["knn"]
    if results:
        first = results[0]
        lines += [
            "## Evaluation",
            "",
            f"Weighted k-NN (k {first['k']}, temperature {first['temperature']}) on frozen "
            "embeddings of the exported file; untrained is the same network with the weights that "
            "training began from. Where the crop was chosen by k-NN on the same queries, the "
            "trained column is slightly optimistic.",
            "",
            "| data | labelled images | queries | top-1 | untrained |",
            "| --- | --- | --- | --- | --- |",
            *(
                f"| {r['dataset']} | {r['trainImages']} | {r['valImages']} | {r['top1']:.1%} "
                f"| {_share(r['untrainedTop1'])} |"
                for r in results
            ),
            "",
        ]
    return "\n".join([*lines, "## Limits", "", LIMITS, ""])


def _share(value: float | None) -> str:
    return "not known" if value is None else f"{value:.1%}"
