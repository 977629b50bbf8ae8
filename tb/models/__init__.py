# SPDX-License-Identifier: Apache-2.0
"""Golden model of the KPU: ``reference`` is plain and obviously right, ``fast`` is vectorised.

The folder is installed as ``openkpu.golden``.
"""
