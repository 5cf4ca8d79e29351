# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "onnx", "opencv-python-headless", "scikit-image", "torch"]
# ///
"""Train the network of lesson 12, which tells from what photograph a tile was cut.

    uv run authoring/train_tiles.py          # train, write, judge
    uv run authoring/train_tiles.py --judge  # only judge what is in the repository

It learns from random crops of the left 70 % of each photograph, and is judged by the
tiles of the right 30 %. Nobody who takes the lesson needs this script, or PyTorch.
"""

import sys
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    # Run by its path, it finds the lesson's module beside the folder it is in
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lessons_src.image_features import NETWORK, Extractor
from lessons_src.image_features_photos import (
    PHOTOS,
    TILE,
    is_held_out,
    photo_of,
    read_photo,
    recognise,
    regions,
    write_tiles,
)

if TYPE_CHECKING:
    import torch

SEED, STEPS, BATCH = 12, 400, 104
WIDTHS, FEATURES = (16, 32, 64, 96), 64


def make_network() -> "torch.nn.Module":
    """Make a network of four convolutions that gives features and scores of a tile."""
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers, channels = [], 3
            for width in WIDTHS:
                layers += [
                    nn.Conv2d(channels, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                    nn.MaxPool2d(2),
                ]
                channels = width
            self.body = nn.Sequential(
                *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)
            )
            self.features = nn.Linear(channels, FEATURES)
            self.scores = nn.Linear(FEATURES, len(PHOTOS))

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            features = torch.relu(self.features(self.body(pixels / 64 - 2)))
            return features, self.scores(features)

    return Network()


def random_tiles(parts: list[Any], count: int, random: Any) -> tuple[Any, Any]:
    """Return `count` crops of `parts`, turned, brightened and blurred, and whose."""
    import cv2
    import numpy as np

    crops, labels = [], random.permutation(np.arange(count) % len(parts))
    for label in labels:
        part = parts[label]
        side = min(int(TILE * random.uniform(0.75, 1.35)), *part.shape[:2])
        top, left = (random.integers(0, n - side + 1) for n in part.shape[:2])
        crop = cv2.resize(part[top : top + side, left : left + side], (TILE, TILE))
        if random.random() < 0.5:
            crop = crop[:, ::-1]
        if random.random() < 0.3:
            crop = np.rot90(crop, random.integers(1, 4))
        if random.random() < 0.2:
            crop = cv2.GaussianBlur(np.ascontiguousarray(crop), (3, 3), 0)
        contrast, light = random.uniform(0.75, 1.3), random.uniform(-25, 25)
        noise = random.normal(0, random.uniform(0, 6), crop.shape)
        bright = (crop - 128.0) * contrast + 128 + light + noise
        crops.append(np.clip(bright, 0, 255).transpose(2, 0, 1))
    return np.stack(crops).astype(np.float32), labels


def train() -> "torch.nn.Module":
    """Return the network, trained."""
    import numpy as np
    import torch

    torch.manual_seed(SEED)
    random = np.random.default_rng(SEED)
    parts = [regions(read_photo(name))[0] for name in PHOTOS]
    network = make_network()
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=1e-2)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, STEPS)
    for step in range(STEPS):
        crops, labels = random_tiles(parts, BATCH, random)
        _, scores = network(torch.from_numpy(crops))
        loss = torch.nn.functional.cross_entropy(
            scores, torch.from_numpy(labels), label_smoothing=0.05
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        plan.step()
        if step % 100 == 99:
            print(f"step {step + 1} of {STEPS}, loss {loss.item():.3f}", flush=True)
    return network.eval()


def write(network: "torch.nn.Module") -> None:
    """Write `network` as ONNX, for batches of any size."""
    import torch

    torch.onnx.export(
        network,
        torch.zeros(2, 3, TILE, TILE),
        NETWORK,
        dynamo=False,
        input_names=["pixels"],
        output_names=["features", "scores"],
        dynamic_axes={name: {0: "tile"} for name in ("pixels", "features", "scores")},
    )


def judge() -> str:
    """Say how many held-out tiles the network in the repository knows, by OpenCV."""
    with TemporaryDirectory() as folder:
        files = list(filter(is_held_out, write_tiles(folder)))
        seen = recognise(Extractor(), files)
    pairs = zip(seen, map(photo_of, files), strict=True)
    right = Counter(found for found, photo in pairs if found == photo)
    each = len(files) // len(PHOTOS)
    lines = [f"{name:10}{right[name]:3} of {each}" for name in PHOTOS]
    total = f"{right.total()} of {len(files)} held-out tiles"
    return "\n".join([*lines, f"{total}, {NETWORK.stat().st_size} bytes"])


if __name__ == "__main__":
    parser = ArgumentParser(description="Train the network of lesson 12, and judge it.")
    parser.add_argument("--judge", action="store_true", help="only judge it")
    if not parser.parse_args().judge:
        write(train())
    print(judge())
