# SPDX-License-Identifier: Apache-2.0
"""From a program to the layers of one file format."""
