# SPDX-License-Identifier: Apache-2.0
"""From float layers to integers: ranges, weights, activation segments, and the steps that the writers take."""
