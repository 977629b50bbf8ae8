# SPDX-License-Identifier: Apache-2.0
"""Labelled pictures as people keep them: YOLO text files, COCO JSON, a folder per class, a folder without labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import read_file

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".webp", ".gif", ".tif", ".tiff", ".npy")
MAX_LABELS = 1 << 30  # bytes of a label file; COCO's own have half of it


@dataclass(frozen=True)
class Truth:
    """A true box.

    Attributes
    ----------
    box : left, top, width, height: pixels of the picture, or shares of its size if ``relative``.
    class_id : index of the model's class.
    crowd : COCO's ``iscrowd``: a detection in it counts neither way.
    """

    box: tuple[float, float, float, float]
    class_id: int
    relative: bool = False
    crowd: bool = False


@dataclass(frozen=True)
class Sample:
    """A picture and what is known of it.

    Attributes
    ----------
    name : of the picture, unique in the dataset; what its row is known by.
    path : of the file.
    label : class of the whole picture, None if it has none.
    truths : true boxes, None if the dataset has no boxes.
    """

    name: str
    path: Path
    label: int | None = None
    truths: tuple[Truth, ...] | None = None


@dataclass(frozen=True)
class Dataset:
    """Pictures in a fixed order.

    Attributes
    ----------
    kind : "coco", "yolo", "classes" or "pictures".
    classes : names by the model's class index.
    """

    kind: str
    samples: tuple[Sample, ...]
    classes: tuple[str, ...] = field(default=())


def open_dataset(path: Path, labels: Sequence[str] = (), pictures: Path | None = None) -> Dataset:
    """Find out how a dataset is kept and read its labels.

    Parameters
    ----------
    path : a COCO JSON file; a folder with one folder per class; a folder of pictures with YOLO's .txt beside them or
        in ``labels/`` beside ``images/``; or a folder of pictures.
    labels : the model's class names in order. Folders and COCO categories are matched by name; without them the order
        is that of the folders' names, or of the categories' numbers.
    pictures : COCO: the folder that file names are relative to; by default that of the JSON file.

    Raises
    ------
    InputError
        It is none of them, empty, or its labels are damaged; the message names the file and the place.
    """
    if path.is_dir():
        found = _folder(path, tuple(labels))
    elif path.suffix.lower() == ".json":
        found = _coco(path, tuple(labels), pictures or path.parent)
    else:
        raise InputError(f"{path}: no dataset; give a folder (of pictures, of pictures with YOLO .txt, or with one "
                         "folder per class) or a COCO .json file")
    if not found.samples:
        raise InputError(f"{path}: holds no picture ({', '.join(SUFFIXES)})")
    return found


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def _folder(path: Path, labels: tuple[str, ...]) -> Dataset:
    texts = _yolo_texts(path)
    if texts:
        return _yolo(path, labels, texts)
    here = [p for p in path.iterdir() if p.suffix.lower() in SUFFIXES]
    folders = sorted(p for p in path.iterdir() if p.is_dir() and _pictures(p))
    if here or not folders:
        return Dataset("pictures", tuple(Sample(p.relative_to(path).as_posix(), p) for p in _pictures(path)))
    names = labels or tuple(p.name for p in folders)
    return Dataset("classes", tuple(Sample(p.relative_to(path).as_posix(), p, _index(names, folder.name, folder))
                                    for folder in folders for p in _pictures(folder)), names)


def _index(names: tuple[str, ...], name: str, where: Path) -> int:
    if name not in names:
        raise InputError(f"{where}: the class '{name}' is not among the {len(names)} --labels; name it there as the "
                         "dataset does")
    return names.index(name)


def _yolo_texts(path: Path) -> dict[Path, Path]:
    """Label file by picture, empty if the folder has none. A picture without one has no objects, as YOLO takes it."""
    images, labels = path / "images", path / "labels"
    apart = images.is_dir() and labels.is_dir()
    found = {}
    for picture in _pictures(images if apart else path):
        text = (labels / picture.relative_to(images) if apart else picture).with_suffix(".txt")
        found[picture] = text
    return found if any(text.is_file() for text in found.values()) else {}


def _yolo(path: Path, labels: tuple[str, ...], texts: dict[Path, Path]) -> Dataset:
    names = path / "classes.txt"
    if not labels and names.is_file():
        labels = tuple(_text(names).split("\n")[:-1] or ())
    samples = [Sample(p.relative_to(path).as_posix(), p, truths=_yolo_boxes(t) if t.is_file() else ())
               for p, t in texts.items()]
    return Dataset("yolo", tuple(samples), tuple(labels))


def _yolo_boxes(path: Path) -> tuple[Truth, ...]:
    """Lines of "class x y w h": centre and size as shares of the picture."""
    truths = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            kind, x, y, w, h = line.split()
            values = [float(v) for v in (x, y, w, h)]
            if not all(0 <= v <= 1 for v in values) or int(kind) < 0:
                raise ValueError
        except ValueError:
            raise InputError(f"{path}: line {number} is {line[:60]!r}, not 'class x y w h' with x, y, w, h from 0 to "
                             "1") from None
        cx, cy, wide, high = values
        truths.append(Truth((cx - wide / 2, cy - high / 2, wide, high), int(kind), relative=True))
    return tuple(truths)


def _coco(path: Path, labels: tuple[str, ...], folder: Path) -> Dataset:
    try:
        document = json.loads(_text(path))
    except ValueError as error:
        raise InputError(f"{path}: no JSON ({error})") from error
    try:
        categories = {c["id"]: str(c["name"]) for c in document["categories"]}
        names = labels or tuple(categories[k] for k in sorted(categories))
        wanted = {name: index for index, name in enumerate(names)}
        boxes: dict[Any, list[Truth]] = {image["id"]: [] for image in document["images"]}
        for a in document["annotations"]:
            name = categories[a["category_id"]]
            if name in wanted:
                left, top, width, height = (float(v) for v in a["bbox"])
                boxes[a["image_id"]].append(Truth((left, top, width, height), wanted[name],
                                                  crowd=bool(a.get("iscrowd", 0))))
        samples = tuple(Sample(str(image["file_name"]), folder / str(image["file_name"]),
                               truths=tuple(boxes[image["id"]])) for image in document["images"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not COCO's form ({type(error).__name__}: {error}); it needs images, annotations and "
                         "categories") from error
    missing = [name for name in wanted if name not in categories.values()]
    if labels and len(missing) == len(labels):
        raise InputError(f"{path}: none of the --labels is one of its categories ({', '.join(categories.values())})")
    if len({s.name for s in samples}) != len(samples):
        raise InputError(f"{path}: two images have the same file_name; give every picture once")
    return Dataset("coco", samples, names)


def _text(path: Path) -> str:
    try:
        return read_file(path, MAX_LABELS).decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is no UTF-8 text") from error
