# The 2 MiB of AI RAM take all 64 URAMs of the chip exactly: eight slices of 64 bits by 32768 words, eight URAMs each.
# Every other memory has to go elsewhere. Read before synthesis (USED_IN_SYNTHESIS). NOT RUN WITH VIVADO.
set_property RAM_STYLE ULTRA [get_cells -hierarchical -filter {NAME =~ *core/on_chip.airam/ram/slice[*].mem_reg*}]
