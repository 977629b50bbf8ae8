# SPDX-License-Identifier: Apache-2.0
"""Which size of the core suits a model: cycles by the cycle model, area by Yosys, the front of both."""
