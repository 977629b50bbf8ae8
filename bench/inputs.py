# SPDX-License-Identifier: Apache-2.0
"""The models that the benchmarks run, and what they run them on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from openkpu.kmodel.model import Model

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "examples" / "demo"
MODELS = Path(os.environ.get("OPENKPU_SHARED") or ROOT.parent / "shared") / "kmodels"


def demo_and_found(names: Iterable[str]) -> list[Path]:
    """The demo's model and those of the named third-party models that are there; a line tells which are not."""
    paths = {name: MODELS / f"{name}.kmodel" for name in names}
    missing = [name for name, path in paths.items() if not path.is_file()]
    if missing:
        print(f"not in {MODELS}: {', '.join(missing)} (OPENKPU_SHARED names the folder that holds kmodels/)",
              file=sys.stderr)
    return [DEMO / "shapes.kmodel", *(path for name, path in paths.items() if name not in missing)]


def random_inputs(model: Model) -> list[np.ndarray]:
    """A random 8-bit code for every element of every input, always the same ones."""
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, spec.shape).astype(spec.dtype) for spec in model.inputs]
