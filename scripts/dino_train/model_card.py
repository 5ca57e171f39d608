"""The README of a model folder, generated so that no number is copied by hand."""

from __future__ import annotations

from typing import Any

from .manifest import ATTENTION_SIZE

LIMITS = """\
- Small network, small data: good for tests, demonstrations and as a start. For production quality
  train longer on your own images (docs/training.md) or import larger pretrained weights.
- The training photos show single objects, animals, people and flowers, most of them centred. They
  carry the biases of their sources; do not use the features to tell or judge people.
- Features are invariant to what the augmentations change: small shifts of colour, scale and
  mirroring. Where left and right or exact colour matter, measure first."""


def model_card(manifest: dict[str, Any]) -> str:
    """Writes a model card in Markdown from a manifest.

    Args:
        manifest: of an exported model, with or without an evaluation.

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
        f"{manifest['description']} Generated from `manifest.json` by "
        "`python scripts/evaluate.py card`.",
        "",
        "| | |",
        "| --- | --- |",
        f"| architecture | {name}, patch {architecture['patchSize']}, dimension "
        f"{architecture['embedDim']}, {architecture['depth']} blocks, "
        f"{architecture['heads']} heads |",
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
        f"{training['method']}, {training['epochs']} epochs over {images} images in {minutes} "
        f"minutes on {training['hardware']} shared with other work, {training['date']}, seed "
        f"{training['seed']}. No labels were used. The metrics of each epoch are in "
        "`training-log.jsonl`.",
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
            "training began from. The crop was chosen by this measurement.",
            "",
            "| data | labelled images | queries | top-1 | untrained |",
            "| --- | --- | --- | --- | --- |",
            *(
                f"| {r['dataset']} | {r['trainImages']} | {r['valImages']} | {r['top1']:.1%} "
                f"| {r['untrainedTop1']:.1%} |"
                for r in results
            ),
            "",
        ]
    return "\n".join([*lines, "## Limits", "", LIMITS, ""])
