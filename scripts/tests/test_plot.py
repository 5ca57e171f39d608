"""Curves from logs and pages of attention maps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import run_options, write_scenes
from matplotlib.figure import Figure
from PIL import Image

from dino_train.attention_page import draw_attention, drawn_scenes, open_subject
from dino_train.checkpoint import save_checkpoint
from dino_train.curves import PlotError, draw_curves, read_log
from dino_train.plot_command import main
from dino_train.train_command import main as train

pytestmark = pytest.mark.usefixtures("micro", "one_thread")


def line(epoch: int, **more: object) -> dict:
    return {"epoch": epoch, "loss": 4.0 / epoch, "kl": 0.5, "lr": 0.1, "feature_std": 0.07,
            "teacher_entropy": 3.0 / epoch, **more}  # fmt: skip


def panel_of(figure: Figure, title: str):
    return next(axes for axes in figure.axes if axes.get_title().startswith(title))


def test_every_value_of_the_log_is_on_its_curve():
    by_k = {"10": 0.2, "20": 0.3, "100": 0.25, "200": 0.1}
    lines = [
        line(1, student_entropy=4.0),
        line(2, student_entropy=3.5, knn={"a": 0.3}, knn_by_k={"a": by_k}),
        line(3, student_entropy=3.0, knn={"a": 0.4}),
    ]
    figure = draw_curves({"mine": lines, "other": [line(1)]})
    loss = panel_of(figure, "loss").lines
    assert [list(curve.get_ydata()) for curve in loss] == [[4.0, 2.0, 4.0 / 3], [4.0]]
    entropy = panel_of(figure, "entropy").lines
    assert [list(curve.get_ydata()) for curve in entropy[:2]] == [[3.0, 1.5, 1.0], [4.0, 3.5, 3.0]]
    curves = panel_of(figure, "k-NN").lines
    knn = {tuple(curve.get_xdata()): list(curve.get_ydata()) for curve in curves}
    # Logs of the first version know k 20 alone.
    assert knn[(2, 3)] == pytest.approx([30, 40])
    assert len(curves) == 4
    names = [text.get_text() for text in panel_of(figure, "loss").get_legend().get_texts()]
    assert names == ["mine", "other"]


def test_a_run_gets_its_curves_and_a_page_for_each_checkpoint(tmp_path, capsys):
    pictures = write_scenes(tmp_path / "train", 4, seed=1, scenes=2)
    run = tmp_path / "run"
    assert train(run_options(pictures, run, "--batch_size_per_gpu", "8", "--epochs", "2",
                             "--saveckp_freq", "1", "--stop_after", "1")) == 0  # fmt: skip
    capsys.readouterr()
    assert main([str(run)]) == 0
    pages = ["curves.png", "attention-checkpoint.png", "attention-checkpoint0001.png"]
    assert capsys.readouterr().out.split() == [str(run / name) for name in pages]
    for name in pages:
        with Image.open(run / name) as picture:
            assert min(picture.size) > 300
            assert len(np.unique(np.asarray(picture.convert("L")))) > 10
    figure = draw_attention(open_subject(run / "checkpoint.pth"), drawn_scenes(), side=40)
    # An image, the mean and two heads for each of four scenes.
    assert len(figure.axes) == 4 * 4
    assert figure.axes[1].images[0].get_array().shape == (5, 5)
    assert main([str(run), "--out", str(tmp_path / "c.svg"), "--no_attention"]) == 0
    assert "<svg" in (tmp_path / "c.svg").read_text()


def test_the_bundled_model_shows_its_curves_and_attention(tmp_path, capsys):
    model = next(Path(__file__).parents[2].glob("models/*/training-log.jsonl")).parent
    assert main([str(model), "--out", str(tmp_path / "c.png"), "--size", "48"]) == 0
    page = tmp_path / f"attention-{model.name}.png"
    assert capsys.readouterr().out.split() == [str(tmp_path / "c.png"), str(page)]
    assert page.exists()


def test_the_drawn_scene_with_an_orientation_is_upright():
    scenes = drawn_scenes()
    assert list(scenes) == ["meadow", "desk", "night", "water"]
    assert scenes["night"].size == (360, 240)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no log at"), ("", "holds no epochs"), ("{", "cannot read"), ("[1]\n", "no epochs")],
)
def test_a_missing_or_damaged_log_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "log.jsonl").write_text(content)
    with pytest.raises(PlotError, match=message):
        read_log(tmp_path)


def test_what_cannot_be_drawn_ends_with_one_line(tmp_path: Path, capsys):
    (tmp_path / "log.jsonl").write_text(json.dumps(line(1)) + "\n")
    run = str(tmp_path)
    assert main([run, "--out", "curves.txt"]) == 1
    assert "curves.txt should end in one of .png" in capsys.readouterr().err
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    assert main([run, "--images", str(tmp_path / "broken.jpg")]) == 1
    assert "cannot read image" in capsys.readouterr().err
    save_checkpoint(tmp_path / "checkpoint.pth", {"options": {}})
    assert main([str(tmp_path / "none")]) == 1
    assert "no log at" in capsys.readouterr().err
