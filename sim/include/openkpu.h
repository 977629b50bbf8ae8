/* SPDX-License-Identifier: Apache-2.0 */
/* C interface of the Verilated KPU: kpu_core with its memories, clock and bus masters.
 *
 * An `openkpu` is one chip with its own clock; create as many as you like. Nothing is
 * shared between them, so each may be used by another thread; one chip takes one call at a
 * time, and only openkpu_cycles() may be called beside another. Addresses are the chip's
 * bus addresses, of which the low 30 bits are decoded:
 *
 *   0x40000000  main SRAM, where the core's AXI master fetches parameters
 *   0x40600000  AI RAM, reached through the core's AXI slave
 *   0x40800000  registers, reached through its AXI4-Lite slave (openkpu_regs.h)
 *
 * Register and AI-RAM accesses are real bus transactions and take clock cycles; SRAM
 * accesses take none. Functions that return int give OPENKPU_OK or an error;
 * openkpu_message() then says in a sentence what went wrong. No function waits for ever.
 */
#ifndef OPENKPU_H
#define OPENKPU_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
/* All else in the library is hidden, so that several configurations can be loaded at once. */
#pragma GCC visibility push(default)

enum {
    OPENKPU_OK = 0,
    OPENKPU_TIMEOUT = 1, /* not finished within the given number of cycles; call again to go on */
    OPENKPU_HANG = 2,    /* a bus transaction was not answered: the core is broken */
    OPENKPU_ADDRESS = 3, /* no memory or register at that address, or an AXI error response */
    OPENKPU_TRACE = 4    /* the waveform cannot be written, or this library is built without traces */
};

typedef struct openkpu openkpu;

typedef struct {
    uint32_t sram_bytes;    /* main SRAM, a multiple of 8, at most 6 MiB (6 MiB) */
    uint32_t latency;       /* cycles from a parameter burst's address to its first word (20) */
    uint32_t outstanding;   /* parameter bursts accepted before the first is answered (8) */
    uint32_t stall_percent; /* cycles in which each bus channel randomly stalls, 0 to 90 (0) */
    uint32_t random_state;  /* 1: every register and memory starts with a random value (0) */
    uint32_t seed;          /* of stalls and random state */
    /* Only in a library whose AI RAM is a cache: the memory behind it. */
    uint32_t memory_latency;     /* cycles from a burst's address to its first beat (12) */
    uint32_t memory_beat_tenths; /* tenths of a cycle for 8 bytes (24: 200 MB/s at 60 MHz) */
} openkpu_config;

/* The values in parentheses above. */
void openkpu_default_config(openkpu_config *config);

/* A chip after reset; NULL when a value of the configuration is out of range. */
openkpu *openkpu_create(const openkpu_config *config);
void openkpu_destroy(openkpu *kpu); /* NULL is harmless; ends a trace */

/* Reset the core for some cycles. Memories keep their content. */
void openkpu_reset(openkpu *kpu);

/* One 64-bit register; OPENKPU_ADDRESS where there is none, and between two. A push into a full layer queue
 * waits for room, OPENKPU_TIMEOUT after `push_cycles` without any: nothing is written then. */
int openkpu_read64(openkpu *kpu, uint32_t address, uint64_t *value);
int openkpu_write64(openkpu *kpu, uint32_t address, uint64_t value, uint64_t push_cycles);

/* Bytes of SRAM or AI RAM, any address and size. */
int openkpu_read(openkpu *kpu, uint32_t address, void *data, size_t size);
int openkpu_write(openkpu *kpu, uint32_t address, const void *data, size_t size);

/* Bytes of whatever is at that bus address, as a processor on the bus reads and writes them. A range lies in one of
 * SRAM, AI RAM and registers; registers are read whole or in part, and written whole (`push_cycles` as above for
 * each word). */
int openkpu_bus_read(openkpu *kpu, uint32_t address, void *data, size_t size);
int openkpu_bus_write(openkpu *kpu, uint32_t address, const void *data, size_t size, uint64_t push_cycles);

/* The main SRAM itself, `sram_bytes` of it, for masters of your own. Valid until openkpu_destroy(). */
uint8_t *openkpu_sram(openkpu *kpu);

/* Bytes of SRAM or AI RAM as a debugger sees them: takes no clock cycles and disturbs nothing. */
int openkpu_peek(openkpu *kpu, uint32_t address, void *data, size_t size);

/* Run until the interrupt line is high; OPENKPU_TIMEOUT after `cycles`. */
int openkpu_run(openkpu *kpu, uint64_t cycles);

/* Let `cycles` clock cycles pass. */
void openkpu_step(openkpu *kpu, uint64_t cycles);

int openkpu_irq(const openkpu *kpu);

/* Take up to `size` bytes, whole words but for the last, off the output stream as the
 * system DMA does; `*taken` says how many came within `cycles`. */
int openkpu_stream(openkpu *kpu, void *data, size_t size, uint64_t cycles, size_t *taken);

/* Both at once: run until the interrupt line is high or `size` bytes have come, whichever is first. */
int openkpu_run_stream(openkpu *kpu, void *data, size_t size, uint64_t cycles, size_t *taken);

/* 1 if no layer runs or waits and the output FIFO is empty. Takes no clock cycles. */
int openkpu_idle(const openkpu *kpu);

/* Clock cycles since creation. May be read by another thread. */
uint64_t openkpu_cycles(const openkpu *kpu);

/* Write a waveform from now on; NULL ends it. Needs a library built with traces (FST, or VCD
 * where lz4.h and zlib.h are missing). */
int openkpu_trace(openkpu *kpu, const char *file);

/* What the last error of this chip was. */
const char *openkpu_message(const openkpu *kpu);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
