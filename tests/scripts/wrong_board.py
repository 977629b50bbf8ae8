# SPDX-License-Identifier: Apache-2.0
# A pin that the chosen board has not: the message says which has it.
# options: --board bit
# exit: 1
# says: the board bit has no pin BUTTON_B; it is a pin of m5stickv: choose with --board
from board import board_info

print(board_info.BUTTON_B)
