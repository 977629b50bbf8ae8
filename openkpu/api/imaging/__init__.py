# SPDX-License-Identifier: Apache-2.0
"""Pictures and what takes and shows them: ``image``, ``sensor``, ``lcd``."""
