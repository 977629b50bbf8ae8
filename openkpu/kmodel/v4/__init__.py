# SPDX-License-Identifier: Apache-2.0
"""kmodel v4, the files of nncase 0.2 (spec/kmodel-format.md section 4)."""
