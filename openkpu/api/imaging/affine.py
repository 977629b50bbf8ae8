# SPDX-License-Identifier: Apache-2.0
"""Affine warps of AI planes and rotations in space (spec/driver-api.md section 3.2)."""

from __future__ import annotations

import numpy as np


def similarity(src, dst) -> tuple[float, ...]:
    """Least-squares similarity from ``dst`` points to ``src`` points; no determinant correction, float32 results."""
    for name, points in (("src", src), ("dst", dst)):
        if not isinstance(points, list) or not 2 <= len(points) <= 10:
            raise OSError(f"get_affine_transform: {name} must be a list of 2 to 10 (x, y) points")
    if len(src) != len(dst):
        raise OSError(f"get_affine_transform: src has {len(src)} points, dst has {len(dst)}")
    source, target = ((np.trunc(np.asarray(p, np.float64)).astype(np.int64) & 0xFFFF).astype(np.float64)
                      for p in (src, dst))
    mean_s, mean_d = source.mean(axis=0), target.mean(axis=0)
    centred_s, centred_d = source - mean_s, target - mean_d
    u, singular, vt = np.linalg.svd(centred_s.T @ centred_d / len(source))
    variance = (centred_d ** 2).mean(axis=0).sum()
    if variance == 0:
        raise OSError("get_affine_transform: all dst points are the same")
    linear = singular.sum() / variance * (u @ vt)
    shift = mean_s - linear @ mean_d
    matrix = np.vstack([np.column_stack([linear, shift]), [0, 0, 1]])
    return tuple(matrix.astype(np.float32).astype(float).reshape(-1).tolist())


def warp(planes: np.ndarray, shape: tuple[int, int, int], matrix) -> np.ndarray:
    """Planes (C, H, W) looked up at ``matrix`` times each pixel of ``shape``; outside the source the result is 0."""
    rows, columns = planes.shape[1:]
    m = np.asarray(matrix, np.float32).reshape(3, 3)
    i, j = np.mgrid[:shape[1], :shape[2]].astype(np.float32)
    x = np.trunc(np.float32(256) * (m[0, 0] * j + m[0, 1] * i + m[0, 2])).astype(np.int64)
    y = np.trunc(np.float32(256) * (m[1, 0] * j + m[1, 1] * i + m[1, 2])).astype(np.int64)
    fx, fy, x, y = x & 255, y & 255, x >> 8, y >> 8
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    x1, y1 = np.clip(x, 0, columns - 1), np.clip(y, 0, rows - 1)
    x2, y2 = np.minimum(x1 + 1, columns - 1), np.minimum(y1 + 1, rows - 1)
    source = planes.astype(np.int64)
    total = (source[:, y1, x1] * (256 - fx) * (256 - fy) + source[:, y1, x2] * fx * (256 - fy)
             + source[:, y2, x1] * (256 - fx) * fy + source[:, y2, x2] * fx * fy)
    return np.where(inside, total >> 16, 0).astype(np.uint8)


def rotate(pixels: np.ndarray, degrees, translation, zoom: float, fov: float) -> np.ndarray:
    """Turn a flat picture (H, W) in space and look at it through a pinhole of ``fov`` degrees; nearest neighbour."""
    rows, columns = pixels.shape
    distance = max(rows, columns) / 2 / np.tan(np.radians(fov) / 2)
    plane = _rotation(degrees)[:, :2]
    camera = np.array([[distance, 0, 0], [0, distance, 0], [0, 0, 1.0]])
    moved = np.column_stack([plane * zoom, [translation[0], translation[1], distance]])
    homography = camera @ moved
    if abs(np.linalg.det(homography)) < 1e-9:
        return np.zeros_like(pixels)
    y, x = np.mgrid[:rows, :columns].astype(np.float64)
    centre_x, centre_y = (columns - 1) / 2, (rows - 1) / 2
    seen = np.stack([x - centre_x, y - centre_y, np.ones_like(x)]).reshape(3, -1)
    source = np.linalg.inv(homography) @ seen
    with np.errstate(divide="ignore", invalid="ignore"):
        sx, sy = source[0] / source[2] + centre_x, source[1] / source[2] + centre_y
    valid = np.isfinite(sx) & np.isfinite(sy) & (source[2] > 0)
    sx, sy = (np.round(np.where(valid, s, -1)).astype(np.int64) for s in (sx, sy))
    valid &= (sx >= 0) & (sx < columns) & (sy >= 0) & (sy < rows)
    result = np.zeros(rows * columns, pixels.dtype)
    result[valid] = pixels[sy[valid], sx[valid]]
    return result.reshape(rows, columns)


def _rotation(degrees) -> np.ndarray:
    (cx, sx), (cy, sy), (cz, sz) = ((np.cos(a), np.sin(a)) for a in np.radians(degrees))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
