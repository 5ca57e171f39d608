"""ResNet-50 against torchvision's definition, as far as it can be told without torchvision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dino_train.backbones.resnet import ResNet, build_resnet
from dino_train.random_checkpoints import random_network

LAYERS = (1, 2, 1, 1)


@pytest.fixture
def network() -> ResNet:
    """A tiny network of one and two blocks a stage with random weights."""
    return random_network("resnet50", tiny=True, layers=LAYERS)


def by_the_paper(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """The last feature map, computed with functions of the weights alone."""

    def unit(x: Tensor, conv: str, norm: str, stride: int = 1, padding: int = 0) -> Tensor:
        x = F.conv2d(x, state[f"{conv}.weight"], None, stride, padding)
        statistics = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        return F.batch_norm(x, *statistics, state[f"{norm}.weight"], state[f"{norm}.bias"])

    x = F.max_pool2d(F.relu(unit(x, "conv1", "bn1", 2, 3)), 3, 2, 1)
    for stage, blocks in enumerate(LAYERS, start=1):
        for index in range(blocks):
            name, stride = f"layer{stage}.{index}", 2 if stage > 1 and index == 0 else 1
            shortcut = x
            if index == 0:
                shortcut = unit(x, f"{name}.downsample.0", f"{name}.downsample.1", stride)
            x = F.relu(unit(x, f"{name}.conv1", f"{name}.bn1"))
            x = F.relu(unit(x, f"{name}.conv2", f"{name}.bn2", stride, 1))
            x = F.relu(unit(x, f"{name}.conv3", f"{name}.bn3") + shortcut)
    return x


def test_features_follow_the_definition(network):
    x = torch.randn(2, 3, 64, 96, generator=torch.manual_seed(0))
    features = network.features(x)
    expected = by_the_paper(network.state_dict(), x)
    torch.testing.assert_close(features.patch_tokens, expected.flatten(2).transpose(1, 2))
    torch.testing.assert_close(features.embedding, expected.mean(dim=(2, 3)))
    torch.testing.assert_close(network(x), features.embedding)


def test_patch_tokens_are_the_places_of_the_map_row_by_row(network):
    features = network.features(torch.randn(1, 3, 96, 160, generator=torch.manual_seed(0)))
    assert features.patch_tokens.shape == (1, 3 * 5, network.embed_dim)


def test_resnet50_has_the_published_size_and_torchvisions_names():
    with torch.device("meta"):
        network = build_resnet()
    # 25.6 million less the classifier of 1000 classes.
    assert sum(p.numel() for p in network.parameters()) == 25_557_032 - 2049 * 1000
    names = set(network.state_dict())
    assert {
        "conv1.weight", "bn1.running_var", "layer1.0.downsample.0.weight",
        "layer1.0.downsample.1.running_mean", "layer3.5.conv2.weight", "layer4.2.bn3.bias",
        "bn1.num_batches_tracked",
    } <= names  # fmt: skip
    assert not any(name.startswith("fc.") for name in names)
    assert len(names) == 6 * (1 + 3 * (3 + 4 + 6 + 3) + 4)


def test_every_parameter_learns(network):
    network.train()
    network(torch.randn(4, 3, 64, 64)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="unknown arch 'resnet18'"):
        build_resnet("resnet18")
