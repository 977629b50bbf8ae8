# SPDX-License-Identifier: Apache-2.0
"""kmodel v3, the files of nncase 0.1 (spec/kmodel-format.md section 3)."""
