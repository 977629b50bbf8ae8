# SPDX-License-Identifier: Apache-2.0
"""Waveforms of one layer, and what a viewer shows of them."""
