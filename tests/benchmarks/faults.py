"""How many planted faults ``latentcli check`` finds, and how much else it lists.

    python tests/benchmarks/faults.py                       # four data sets, a training of each
    python tests/benchmarks/faults.py mnist --models folder # mnist.pth and so on, instead of trainings

Of at most 10,000 training images, drawn by the seed, 2 % get the label of another class, drawn evenly, and 50 are there
twice: ten each as they are, brighter or darker by up to 15 %, with noise of six grey values, as JPEG of quality 75, and
moved by one pixel to the right. Recall is the part of the planted faults that is listed, precision the part of the list
that was planted: mean of five draws. What the data had before is counted against precision, and told beside it: real
duplicates, labels that are wrong, and classes that cannot be told apart.
"""

import argparse
import io
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from figures import ROWS, halves, source, train
from PIL import Image

from latentcli import ImageSet, check, load, load_model
from latentcli.core.labels import Labels

DATA = ("mnist", "fashion-mnist", "cifar10", "brain-mri")
MOST, WRONG, TWINS, DRAWS = 10_000, 0.02, 50, 5
KINDS = ("as it is", "brightness", "noise", "JPEG", "moved")


def twin(image: np.ndarray, kind: str, random: np.random.Generator) -> np.ndarray:
    """An image (C, H, W) uint8 as it may come again."""
    if kind == "JPEG":
        file = io.BytesIO()
        Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(file, "JPEG", quality=75)
        decoded = np.asarray(Image.open(file))
        return decoded[None] if decoded.ndim == 2 else decoded.transpose(2, 0, 1)
    changed = {
        "as it is": lambda: image.astype(float),
        "brightness": lambda: image * random.uniform(0.85, 1.15),
        "noise": lambda: image + random.normal(0, 6, image.shape),
        "moved": lambda: np.roll(image, 1, axis=2).astype(float),
    }[kind]()
    return np.clip(changed.round(), 0, 255).astype(np.uint8)


def planted(images: ImageSet, seed: int) -> tuple[ImageSet, set[int], set[tuple[int, int]]]:
    """The images with faults, the rows of wrong labels, and the pairs of rows that are twins."""
    random = np.random.default_rng([seed, 2])
    some = images.take(np.sort(random.choice(len(images), min(MOST, len(images)), replace=False)))
    count, classes = len(some), len(some.class_names)
    wrong = random.choice(count, round(WRONG * count), replace=False)
    codes = some.labels.codes.copy()
    codes[wrong] = (codes[wrong] + random.integers(1, classes, len(wrong))) % classes
    rows = random.choice(count, TWINS, replace=False)
    twins = [twin(some.images[row], KINDS[each % len(KINDS)], random) for each, row in enumerate(rows)]
    faulty = replace(
        some, images=np.concatenate([some.images, np.stack(twins)]), files=None,
        labels=Labels(np.concatenate([codes, codes[rows]]), some.class_names),
    )  # fmt: skip
    pairs = {(int(row), count + each) for each, row in enumerate(rows)}
    return faulty, {*wrong.tolist()} | {count + each for each, row in enumerate(rows) if row in wrong}, pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", choices=[*DATA, []], help="all four by default")
    parser.add_argument("--models", type=Path, help="a folder of models, instead of trainings")
    parser.add_argument("--draws", type=int, default=DRAWS, help="of the faults")
    chosen = parser.parse_args()
    print("| data | labels: precision, recall | listed | duplicates: precision, recall | listed | before |")
    print("|---|---|---|---|---|---|", flush=True)
    for name in chosen.data or DATA:
        if chosen.models is None:
            images, _ = halves(ROWS[name], held_out=False)
            with tempfile.TemporaryDirectory() as folder:
                model, _ = train(ROWS[name], images, Path(folder), 0, [])
        else:
            model = load_model(chosen.models / f"{name}.pth")
            images = load(source(ROWS[name].train), resize=True, **model.load_options)
        figures: dict[str, list[tuple[float, float, int]]] = {"label": [], "duplicate": []}
        for seed in range(chosen.draws):
            faulty, wrong, pairs = planted(images, seed)
            found = check(faulty, model)
            listed = {each.row for each in found.of("label")}
            figures["label"].append(_of(len(listed & wrong), len(listed), len(wrong)))
            alike = {(each.other, each.row) for each in found.of("duplicate")}
            figures["duplicate"].append(_of(len(alike & pairs), len(alike), len(pairs)))
        before = check(images.take(np.arange(min(MOST, len(images)))), model).counts
        cells = []
        for kind in figures:
            precision, recall, listed_ = np.mean(figures[kind], axis=0)
            cells += [f"{precision:.2f}, {recall:.2f}", f"{listed_:.0f}"]
        told = f"{before['label']} labels, {before['duplicate']} duplicates"
        size = min(MOST, len(images))
        print(f"| {ROWS[name].title}, {size:,} images | {' | '.join(cells)} | {told} |", flush=True)


def _of(right: int, listed: int, planted: int) -> tuple[float, float, int]:
    return right / max(1, listed), right / planted, listed


if __name__ == "__main__":
    main()
