# SPDX-License-Identifier: Apache-2.0
"""Drivers of the KPU, the DMA and the flash controller: registers and bus memory of a ``Device``, nothing else."""
