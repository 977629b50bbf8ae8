# SPDX-License-Identifier: Apache-2.0
"""The simulated board: settings, counters, time, files, the way scripts end, and MicroPython's own modules."""
