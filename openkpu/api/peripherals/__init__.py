# SPDX-License-Identifier: Apache-2.0
"""What hangs on the chip besides camera and screen: pins, ports, timers, buses, sound, network."""
