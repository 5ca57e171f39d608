"""Average precision, the Revisited protocols, and Copydays, on lists small enough to count."""

from __future__ import annotations

import json
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_fixtures import cpu_source, noise, save_vit
from PIL import Image

from dino_train.evaluate_command import main as evaluate
from dino_train.evaluation.copy_detection import describe, find_blocks, learn_whitening
from dino_train.evaluation.error import EvaluationError
from dino_train.evaluation.ground_truth import Query, load_benchmark
from dino_train.evaluation.ranking import average_precision, precision_at, ranks_without_junk
from dino_train.evaluation.retrieval import embed_image, score_protocol

pytestmark = pytest.mark.usefixtures("one_thread")


def test_average_precision_is_the_area_under_the_curve():
    assert average_precision([0, 1, 2], 3) == 1.0
    # Found second: the precision goes from 0/1 to 1/2. Found fourth: from 1/3 to 2/4.
    by_hand = (Fraction(0, 1) + Fraction(1, 2)) / 4 + (Fraction(1, 3) + Fraction(2, 4)) / 4
    assert average_precision([1, 3], 2) == pytest.approx(float(by_hand))
    # One of four positives is never found.
    assert average_precision([0], 4) == pytest.approx(1 / 4)


def test_junk_is_taken_out_before_places_are_counted():
    order = np.array([5, 0, 6, 1, 2, 7])
    assert ranks_without_junk(order, [0, 2], [5, 6]).tolist() == [0, 2]
    assert ranks_without_junk(order, [0, 2], []).tolist() == [1, 4]
    assert precision_at(np.array([0, 2]), 1) == 1.0
    assert precision_at(np.array([0, 2]), 10) == pytest.approx(2 / 3)


def test_the_three_protocols_differ_in_what_is_right_and_what_is_junk():
    query = Query("q", None, easy=[0], hard=[1], junk=[2])
    order = [np.array([2, 3, 1, 0])]
    # Without junk: 3, 1, 0.
    medium = score_protocol(order, [query], "medium")
    assert medium["mAP"] == pytest.approx(((0 + 1 / 2) / 2 + (1 / 2 + 2 / 3) / 2) / 2, abs=1e-6)
    assert medium["mP@1"] == 0
    assert medium["mP@5"] == pytest.approx(2 / 3, abs=1e-6)
    # Hard: 0 is junk too; 3, 1. Easy: 1 is; 3, 0.
    for protocol in ("hard", "easy"):
        assert score_protocol(order, [query], protocol)["mAP"] == pytest.approx(1 / 4)
    nothing = Query("q", None, easy=[], hard=[1], junk=[])
    assert score_protocol(order, [nothing], "easy")["mAP"] is None


def write_benchmark(root: Path, as_json: bool = False) -> dict:
    """Two queries, each a part of one of five images; the box says which part."""
    folder = root / "roxford5k"
    (folder / "jpg").mkdir(parents=True)
    for number in range(5):
        noise(64, 64, number).save(folder / "jpg" / f"image{number}.jpg", quality=95)
    truths = []
    for number in range(2):
        scene = Image.new("RGB", (128, 96), (200, 30, 60))
        scene.paste(Image.open(folder / "jpg" / f"image{number}.jpg"), (40, 16))
        scene.save(folder / "jpg" / f"query{number}.jpg", quality=95)
        indices = {"easy": [number], "hard": [4], "junk": [1 - number]}
        truths.append({"bbx": [40.0, 16.0, 104.0, 80.0], **indices})
    content = {
        "imlist": [f"image{n}" for n in range(5)],
        "qimlist": ["query0", "query1"],
        "gnd": truths,
    }
    if as_json:
        (folder / "gnd_roxford5k.json").write_text(json.dumps(content))
    else:
        arrays = [{k: np.array(v) for k, v in truth.items()} for truth in truths]
        data = pickle.dumps({**content, "gnd": arrays}, protocol=2)
        (folder / "gnd_roxford5k.pkl").write_bytes(data)
    return content


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_finds_the_image_that_a_query_was_cut_from(tmp_path, capsys, as_json):
    write_benchmark(tmp_path, as_json)
    vit = save_vit(tmp_path / "vit.pth")
    arguments = ["retrieval", "--checkpoint", str(vit), "--data_path", str(tmp_path), "--json"]
    assert evaluate([*arguments, "--imsize", "64"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["queries"]) == (5, 2)
    # Cut to its box, a query is its image but for the loss of a second JPEG.
    assert found["easy"] == {"mAP": 1.0, "mP@1": 1.0, "mP@5": 1.0, "mP@10": 1.0}
    assert 0.5 <= found["medium"]["mAP"] <= 1
    assert evaluate([*arguments, "--imsize", "64", "--multiscale", "true"]) == 0
    assert json.loads(capsys.readouterr().out)["easy"]["mP@1"] == 1.0


def test_multiscale_is_the_mean_over_three_scales(tmp_path):
    source = cpu_source(save_vit(tmp_path / "vit.pth"))
    image = noise(64, 96, 3)
    embedding = embed_image(source, image, multiscale=True)
    assert np.linalg.norm(embedding) == pytest.approx(1)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    total = 0
    for scale in (1, 2**-0.5, 0.5):
        small = torch.nn.functional.interpolate(
            pixels, scale_factor=scale, mode="bilinear", align_corners=False
        )
        height, width = (side // 16 * 16 for side in small.shape[-2:])
        small = small[..., :height, :width].round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        total = total + source.run(small, ["embedding"])["embedding"][0]
    np.testing.assert_allclose(embedding, total / np.linalg.norm(total), atol=1e-5)


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_a_pickle_that_would_run_code_is_refused(tmp_path, capsys):
    write_benchmark(tmp_path)
    truth = tmp_path / "roxford5k/gnd_roxford5k.pkl"
    truth.write_bytes(pickle.dumps({"imlist": Evil()}))
    with pytest.raises(EvaluationError, match=r"is refused: it would load builtins\.print"):
        load_benchmark(tmp_path, "roxford5k")
    assert "executed" not in capsys.readouterr().out


def test_wrong_benchmarks_are_named(tmp_path):
    with pytest.raises(EvaluationError, match=r"there is no .*gnd_roxford5k\.pkl"):
        load_benchmark(tmp_path, "roxford5k")
    content = write_benchmark(tmp_path, as_json=True)
    truth = tmp_path / "roxford5k/gnd_roxford5k.json"
    content["gnd"][0]["easy"] = [9]
    truth.write_text(json.dumps(content))
    with pytest.raises(EvaluationError, match="beyond the 5 of imlist"):
        load_benchmark(tmp_path, "roxford5k")
    truth.write_text(json.dumps({"imlist": []}))
    with pytest.raises(EvaluationError, match="has no imlist, qimlist and gnd"):
        load_benchmark(tmp_path, "roxford5k")


def test_whitening_makes_the_second_moments_the_identity():
    rng = torch.Generator().manual_seed(0)
    features = torch.randn(500, 6, generator=rng) @ torch.randn(6, 6, generator=rng)
    whitening = learn_whitening(features)
    projected = features @ whitening.projection.T
    np.testing.assert_allclose(projected.T @ projected / 500, np.eye(6), atol=1e-4)
    np.testing.assert_allclose(
        whitening.apply(features), (features - features.mean(0)) @ whitening.projection.T, atol=1e-4
    )


def test_a_description_is_cls_beside_the_generalised_mean_of_patches():
    described = describe(torch.tensor([[7.0, -7.0]]), torch.tensor([[[1.0, -5.0], [3.0, 2.0]]]))
    by_hand = [7, -7, ((1 + 81) / 2) ** 0.25, ((1e-24 + 16) / 2) ** 0.25]
    np.testing.assert_allclose(described[0], by_hand, rtol=1e-5)


def write_copydays(root: Path) -> None:
    for block in ("original", "strong", "crops/10", "jpegqual/3"):
        (root / block).mkdir(parents=True)
    for number in range(4):
        image = noise(64, 64, number)
        name = f"{2000 + number}00.jpg"
        image.save(root / "original" / name, quality=95)
        image.save(root / "jpegqual/3" / name, quality=3)
        image.crop((2, 2, 62, 62)).save(root / "crops/10" / name, quality=95)
    # Two attacks on the first original, of which one shows another picture.
    noise(64, 64, 0).save(root / "strong/200001.jpg", quality=90)
    noise(64, 64, 3).save(root / "strong/200002.jpg", quality=90)


def test_the_command_scores_every_block_of_copydays(tmp_path, capsys):
    root = tmp_path / "copydays"
    write_copydays(root)
    vit = save_vit(tmp_path / "vit.pth")
    arguments = ["copy-detection", "--checkpoint", str(vit), "--data_path", str(root), "--json"]
    arguments += ["--imsize", "64", "--batch_size_per_gpu", "3"]
    assert evaluate(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["mAP"]) == ["original", "strong", "jpegqual/3", "crops/10"]
    assert found["mAP"]["original"] == 1.0
    # The first attack finds its original first; the second, another picture, does later.
    source = cpu_source(vit)
    values = []
    for number in (*range(4), "attack"):
        name = "strong/200002.jpg" if number == "attack" else f"original/{2000 + number}00.jpg"
        pixels = np.array(Image.open(root / name).convert("RGB"))
        out = source.run(pixels[None], ["embedding", "patch_tokens"])
        described = describe(*map(torch.from_numpy, (out["embedding"], out["patch_tokens"])))
        values.append(described[0].numpy() / np.linalg.norm(described))
    rank = sum(float(v @ values[4]) > float(values[0] @ values[4]) for v in values[:4])
    assert rank > 0
    expected = (1 + (0 + 1 / (rank + 1)) / 2) / 2
    assert found["mAP"]["strong"] == pytest.approx(expected, abs=1e-6)
    more = ["--whitening_path", str(root / "crops/10"), "--distractors_path", str(root / "strong")]
    assert evaluate([*arguments, *more]) == 0
    whitened = json.loads(capsys.readouterr().out)
    assert (whitened["whitened"], whitened["distractors"]) == (True, 2)
    assert whitened["mAP"] != found["mAP"]


def test_folders_that_are_not_copydays_are_named(tmp_path):
    with pytest.raises(EvaluationError, match="not laid out as Copydays"):
        find_blocks(tmp_path)
    write_copydays(tmp_path / "c")
    (tmp_path / "c/crops/10/200000.jpg").unlink()
    with pytest.raises(EvaluationError, match=r"crops/10 has 3 images, and original 4"):
        find_blocks(tmp_path / "c")
    write_copydays(tmp_path / "d")
    noise(64, 64, 1).save(tmp_path / "d/strong/999900.jpg")
    with pytest.raises(EvaluationError, match="no original's name begins"):
        find_blocks(tmp_path / "d")
