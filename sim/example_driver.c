/* SPDX-License-Identifier: Apache-2.0 */
/* A driver in the manner of the vendor's (kpu_run): a task of several layers, an interrupt handler that pushes one
 * layer after the other, and a DMA that takes the last one's output off the stream, all on the Verilated KPU.
 *
 *   lib=$(python -m openkpu.devices.build tiny)
 *   cc -Isim/include sim/example_driver.c "$lib" -Wl,-rpath,"$(dirname "$lib")" -o driver && ./driver
 *
 * The task is the layer of example.c, twice; the result arrives in main SRAM. Returns 1 if it is not the known one.
 */
#include <inttypes.h>
#include <stdio.h>

#include "example_layer.h"

enum { CALC_DONE = 1, ALMOST_EMPTY = 2, ALMOST_FULL = 4, ALL = 7, LAYERS = 2, PUSH_CYCLES = 100000 };
static const uint32_t result_address = 0x40100000;
static const uint64_t time_out = 1000000; /* clock cycles without an event */

static openkpu *bus;

/* ---- what a system on a chip gives its drivers: the bus and a DMA channel ---- */

static int failed(const char *what) {
    fprintf(stderr, "%s: %s\n", what, openkpu_message(bus));
    return 1;
}

static int put(uint32_t offset, uint64_t value) {
    return openkpu_bus_write(bus, OPENKPU_REGS_BASE + offset, &value, sizeof value, PUSH_CYCLES) != OPENKPU_OK;
}

static struct {
    uint8_t *to;
    size_t left;
    void (*done)(void);
} dma;

static void dma_start(uint32_t to, size_t bytes, void (*done)(void)) {
    dma.to = openkpu_sram(bus) + (to - OPENKPU_SRAM_BASE);
    dma.left = bytes;
    dma.done = done;
}

/* Until the next event: an interrupt, or the end of the DMA. */
static int wait_for_event(int (*interrupt)(void)) {
    size_t taken = 0;
    int result;
    if (dma.left) {
        result = openkpu_run_stream(bus, dma.to, dma.left, time_out, &taken);
        dma.to += taken;
        dma.left -= taken;
        if (taken && !dma.left) dma.done();
    } else {
        result = openkpu_run(bus, time_out);
    }
    if (result != OPENKPU_OK) return failed("waiting");
    return openkpu_irq(bus) ? interrupt() : 0;
}

/* ---- the driver ---- */

static struct {
    int next, ended;
} task;

static void task_ended(void) { task.ended = 1; }

static int push_layer(int number) {
    for (int word = 0; word < 12; ++word) {
        /* Only the last layer is streamed, and the DMA's end, not an interrupt, tells that it is there. */
        uint64_t value = layer[word];
        if (word == 0) value &= ~(uint64_t)1;
        if (word == 11) value |= number == LAYERS - 1;
        if (put(OPENKPU_LAYER_ARGUMENT_FIFO, value)) return failed("pushing a layer");
    }
    return 0;
}

static int kpu_interrupt(void) {
    if (put(OPENKPU_INTERRUPT_CLEAR, ALL)) return failed("clearing the interrupt");
    if (task.next < LAYERS) return push_layer(task.next++);
    return put(OPENKPU_INTERRUPT_MASK, ALL) && failed("masking the interrupt");
}

static int kpu_run(void) {
    dma_start(result_address, OC * OUT * OUT, task_ended);
    if (put(OPENKPU_INTERRUPT_CLEAR, ALL) || put(OPENKPU_FIFO_THRESHOLD, 10 | 1 << 4) ||
        put(OPENKPU_EIGHT_BIT_MODE, 1) || put(OPENKPU_INTERRUPT_MASK, CALC_DONE | ALMOST_FULL))
        return failed("setting up");
    if (push_layer(task.next++)) return 1;
    while (!task.ended)
        if (wait_for_event(kpu_interrupt)) return 1;
    return 0;
}

int main(void) {
    openkpu_config config;
    openkpu_default_config(&config);
    bus = openkpu_create(&config);
    if (!bus) return 1;
    int wrong = write_parameters(bus) || write_input(bus) ? failed("loading the memories") : kpu_run();
    const uint8_t *result = openkpu_sram(bus) + (result_address - OPENKPU_SRAM_BASE);
    for (int i = 0; !wrong && i < OC * OUT * OUT; ++i) wrong = result[i] != expected[i / 16][i / 4 % 4][i % 4];
    while (!wrong && !openkpu_idle(bus)) openkpu_step(bus, 1);
    printf("%d layers, %d bytes by DMA, %" PRIu64 " clock cycles: %s\n", LAYERS, OC * OUT * OUT, openkpu_cycles(bus),
           wrong ? "wrong" : "right");
    openkpu_destroy(bus);
    return wrong;
}
