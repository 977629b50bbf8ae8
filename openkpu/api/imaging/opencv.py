# SPDX-License-Identifier: Apache-2.0
"""OpenCV, imported at first use; without it one sentence says how to get it."""

from __future__ import annotations

from openkpu.api.board.standin import NotSimulatedError


def opencv(method: str):
    """The module ``cv2``.

    Raises
    ------
    NotSimulatedError
        OpenCV is not installed; the message names the image method that needs it.
    """
    try:
        import cv2
    except ImportError:
        raise NotSimulatedError(f"image.{method} needs OpenCV: pip install openkpu[image]") from None
    return cv2
