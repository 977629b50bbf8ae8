/* SPDX-License-Identifier: Apache-2.0 */
/* C interface of the Verilated kpu_soc: core, SRAM, DMA and flash controller on one host port, with a flash chip.
 *
 * An `openkpu_soc` is one board with its own clock. Every access is a real bus transaction through the host port and
 * takes clock cycles; addresses are the chip's bus addresses (docs/registers.md). Only the flash chip is also
 * reached from outside, as a programmer with its clip would. Errors as in openkpu.h.
 */
#ifndef OPENKPU_SOC_H
#define OPENKPU_SOC_H

#include "openkpu.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct openkpu_soc openkpu_soc;

typedef struct {
    uint32_t flash_bytes;   /* size of the flash chip, a power of two from 64 KiB to 16 MiB (16 MiB) */
    uint32_t jedec;         /* its id (0xEF4018) */
    uint32_t program_cycles; /* clock cycles a page program takes (20 000) */
    uint32_t erase_cycles;  /* clock cycles a sector erase takes (200 000) */
    uint32_t random_state;  /* 1: every register and memory starts with a random value (0) */
    uint32_t seed;
} openkpu_soc_config;

/* The values in parentheses above. */
void openkpu_soc_default_config(openkpu_soc_config *config);

/* A board after reset, its flash erased; NULL when a value of the configuration is out of range. */
openkpu_soc *openkpu_soc_create(const openkpu_soc_config *config);
void openkpu_soc_destroy(openkpu_soc *soc);

/* Reset the chip for some cycles, in the middle of anything; memories and flash keep their content. */
void openkpu_soc_reset(openkpu_soc *soc);

/* Bytes at any bus address. Registers: whole 64-bit words. OPENKPU_TIMEOUT after `cycles`: the same call again goes on;
 * another access first ends this one, throwing away what it reads and writing nothing more of it. */
int openkpu_soc_read(openkpu_soc *soc, uint32_t address, void *data, size_t size, uint64_t cycles);
int openkpu_soc_write(openkpu_soc *soc, uint32_t address, const void *data, size_t size, uint64_t cycles);

/* Run until an interrupt line (bit 0 KPU, 1 DMA, 2 flash) in `lines` is high; OPENKPU_TIMEOUT after `cycles`. */
int openkpu_soc_run(openkpu_soc *soc, uint32_t lines, uint64_t cycles);

uint32_t openkpu_soc_irq(const openkpu_soc *soc);

/* Clock cycles since creation. May be read by another thread. */
uint64_t openkpu_soc_cycles(const openkpu_soc *soc);

/* The flash chip itself; takes no time. OPENKPU_ADDRESS outside it. */
int openkpu_soc_flash_read(openkpu_soc *soc, uint32_t at, void *data, size_t size);
int openkpu_soc_flash_write(openkpu_soc *soc, uint32_t at, const void *data, size_t size);
/* 0 unplugs the chip: it loses its power and its pins read as pulled up. */
void openkpu_soc_flash_present(openkpu_soc *soc, int present);
/* The whole board loses its power for a moment; a page or sector being written holds garbage. */
void openkpu_soc_power_cut(openkpu_soc *soc);

const char *openkpu_soc_message(const openkpu_soc *soc);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
