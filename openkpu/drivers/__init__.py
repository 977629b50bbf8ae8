"""Drivers of the design's blocks; each sees only registers and memory."""
