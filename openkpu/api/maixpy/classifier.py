# SPDX-License-Identifier: Apache-2.0
"""``KPU.classifier``: learning from a few pictures (spec/driver-api.md section 1.18).

The vendor's arithmetic is not published; this one is nearest prototype after k-means, in float32. Distances are
therefore not the vendor's (its scripts' threshold of 11 does not carry over), and ``.classifier`` files are this
project's own (an ``.npz``).
"""

from __future__ import annotations

import errno
import io
from pathlib import Path

import numpy as np

from openkpu.api.board import paths
from openkpu.api.maixpy.forward import forward
from openkpu.api.maixpy.objects import kpu_net

_ROUNDS = 100


class classifier:
    """Nearest-prototype classifier on a net's output 0.

    Parameters
    ----------
    model : ``kpu_net`` whose output 0 is the feature.
    class_num, sample_num : how many class and sample pictures may be added.
    fea_len : use only the first numbers of the feature; 0 uses all.

    Raises
    ------
    ValueError
        The model is no ``kpu_net`` or a count is not positive.
    """

    def __init__(self, model=None, class_num=None, sample_num=None, fea_len=0):
        if not isinstance(model, kpu_net):
            raise ValueError("classifier(model, class_num, sample_num, fea_len=0): model must be a kpu_net")
        if class_num is None or sample_num is None or class_num < 1 or sample_num < 0 or fea_len < 0:
            raise ValueError("classifier(model, class_num, sample_num, fea_len=0): class_num must be at least 1, "
                             "sample_num and fea_len at least 0")
        self._model, self._length = model, int(fea_len)
        self._class_num, self._sample_num = int(class_num), int(sample_num)
        self._classes: dict[int, np.ndarray] = {}
        self._samples: list[np.ndarray] = []
        self._prototypes: np.ndarray | None = None

    def _feature(self, img) -> np.ndarray:
        feature = np.asarray(forward(self._model, img, out_index=0)[:], np.float32)
        if self._length > len(feature):
            raise ValueError(f"fea_len is {self._length}, but the model gives {len(feature)} numbers")
        return feature[:self._length] if self._length else feature

    def add_class_img(self, img, idx=None) -> int:
        """Add (or, with ``idx``, replace) the picture of a class; its index."""
        index = len(self._classes) if idx is None else int(idx)
        if not 0 <= index < self._class_num:
            raise OSError(errno.ENOSPC, f"class {index} does not exist: there is room for {self._class_num} classes")
        self._classes[index] = self._feature(img)
        self._prototypes = None
        return index

    def add_sample_img(self, img) -> int:
        """Add a picture without class; its index."""
        if len(self._samples) >= self._sample_num:
            raise OSError(errno.ENOSPC, f"there is room for {self._sample_num} samples")
        self._samples.append(self._feature(img))
        self._prototypes = None
        return len(self._samples) - 1

    def rm_class_img(self) -> int:
        """Remove the class picture added last; its index."""
        if not self._classes:
            raise OSError(errno.ENOENT, "there is no class picture to remove")
        self._prototypes = None
        index = next(reversed(self._classes))
        del self._classes[index]
        return index

    def rm_sample_img(self) -> int:
        """Remove the sample added last; its index."""
        if not self._samples:
            raise OSError(errno.ENOENT, "there is no sample to remove")
        self._prototypes = None
        self._samples.pop()
        return len(self._samples)

    def train(self) -> None:
        """k-means over all pictures, started at the class pictures."""
        if sorted(self._classes) != list(range(self._class_num)):
            raise OSError(errno.EINVAL, f"{len(self._classes)} of {self._class_num} class pictures were added")
        prototypes = np.stack([self._classes[i] for i in range(self._class_num)])
        pictures = np.concatenate([prototypes, *(s[None] for s in self._samples)])
        for _ in range(_ROUNDS):
            nearest = _distances(pictures, prototypes).argmin(axis=1)
            moved = np.stack([pictures[nearest == i].mean(axis=0) if (nearest == i).any() else prototypes[i]
                              for i in range(self._class_num)])
            if np.array_equal(moved, prototypes):
                break
            prototypes = moved
        self._prototypes = prototypes

    def predict(self, img) -> tuple[int, float]:
        """(class index, Euclidean distance) of the nearest prototype."""
        if self._prototypes is None:
            raise OSError(errno.EINVAL, "call train() before predict()")
        distance = _distances(self._feature(img)[None], self._prototypes)[0]
        index = int(distance.argmin())
        return index, float(distance[index])

    def save(self, path: str) -> None:
        """Write the trained prototypes and what they were made from."""
        if self._prototypes is None:
            raise OSError(errno.EINVAL, "call train() before save()")
        buffer = io.BytesIO()
        np.savez(buffer, prototypes=self._prototypes, sample_num=self._sample_num, fea_len=self._length)
        Path(paths.device_path(path)).write_bytes(buffer.getvalue())

    @staticmethod
    def load(model, path: str, class_num=None, sample_num=None, fea_len=0) -> tuple[classifier, int, int]:
        """(classifier, class_num, sample_num) from a saved file; given numbers must agree with it."""
        try:
            with np.load(io.BytesIO(paths.read_file(path)), allow_pickle=False) as stored:
                prototypes = stored["prototypes"]
                samples, length = int(stored["sample_num"]), int(stored["fea_len"])
        except (ValueError, KeyError, EOFError) as error:
            raise OSError(errno.EINVAL, f"{path} is not a file that classifier.save wrote") from error
        for name, given, found in (("class_num", class_num, len(prototypes)), ("sample_num", sample_num, samples)):
            if given is not None and given != found:
                raise OSError(errno.EINVAL, f"{path} has {name} {found}, not {given}")
        result = classifier(model, len(prototypes), samples, fea_len or length)
        result._prototypes = prototypes
        return result, len(prototypes), samples


def _distances(pictures: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    return np.linalg.norm(pictures[:, None] - prototypes[None], axis=2)
