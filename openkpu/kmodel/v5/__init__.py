# SPDX-License-Identifier: Apache-2.0
"""kmodel v5, the files of nncase 1.x (spec/kmodel-format.md section 5)."""
