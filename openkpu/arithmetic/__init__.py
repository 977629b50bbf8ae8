# SPDX-License-Identifier: Apache-2.0
"""Host operators as pure numpy functions (spec/kmodel-format.md sections 3.5, 4.5, 5.7).

They know nothing of files, memory pools or devices; float work is binary32 unless said otherwise. Infinities and NaNs
are legal results: the caller silences numpy's warnings about them.
"""
