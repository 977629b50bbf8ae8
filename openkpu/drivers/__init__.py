"""Drivers of the KPU, the DMA and the flash controller: registers and bus memory of a ``Device``, nothing else."""
