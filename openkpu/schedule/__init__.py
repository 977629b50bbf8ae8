# SPDX-License-Identifier: Apache-2.0
"""Performance: how the core plans a layer (plan.py), and how many cycles that takes (cycles.py)."""
