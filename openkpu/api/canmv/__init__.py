# SPDX-License-Identifier: Apache-2.0
"""CanMV: class ``maix.KPU`` (spec/driver-api.md section 2)."""
