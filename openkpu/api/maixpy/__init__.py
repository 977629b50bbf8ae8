"""MaixPy v1: module ``KPU`` (spec/driver-api.md section 1)."""
