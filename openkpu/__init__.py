# SPDX-License-Identifier: Apache-2.0
"""OpenKPU: an open implementation of the K210's neural-network processor and its driver."""

__version__ = "0.2.0"
