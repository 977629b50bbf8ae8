# SPDX-License-Identifier: Apache-2.0
"""The hardware's contract: registers, layer descriptor, AI-RAM layout, parameter tables."""
