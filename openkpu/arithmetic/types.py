# SPDX-License-Identifier: Apache-2.0
"""The types that the operators' arithmetic shares."""

from __future__ import annotations

import numpy as np

Pair = tuple[int, int]
"""(vertical, horizontal), or (before, after)."""
Number = float | np.number
Limits = tuple[Number, Number]
"""A fused activation: (low, high)."""
