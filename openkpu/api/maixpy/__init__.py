# SPDX-License-Identifier: Apache-2.0
"""MaixPy v1: module ``KPU`` (spec/driver-api.md section 1)."""
