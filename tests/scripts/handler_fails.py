# SPDX-License-Identifier: Apache-2.0
# An error in an except block is an error of its own.
# exit: 1
# says: line 8: IndexError
try:
    labels = open("none.txt").readlines()
except OSError:
    label = [][0]
