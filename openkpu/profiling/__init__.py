# SPDX-License-Identifier: Apache-2.0
"""What every layer costs: measured on the RTL, or by the cycle model."""
