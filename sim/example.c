/* SPDX-License-Identifier: Apache-2.0 */
/* One layer on the Verilated KPU, driven from C as a firmware driver would.
 *
 *   lib=$(python -m openkpu.devices.build tiny)
 *   cc -Isim/include sim/example.c "$lib" -Wl,-rpath,"$(dirname "$lib")" -o example && ./example
 *
 * Prints the output map and the clock cycles, and returns 1 if the known output does not come out.
 */
#include <inttypes.h>
#include <stdio.h>

#include "example_layer.h"

static int fail(openkpu *kpu, const char *what) {
    fprintf(stderr, "%s: %s\n", what, openkpu_message(kpu));
    openkpu_destroy(kpu);
    return 1;
}

int main(void) {
    openkpu_config config;
    uint8_t result[OUT * ROW];
    uint64_t cycles;
    int wrong = 0;

    openkpu_default_config(&config);
    openkpu *kpu = openkpu_create(&config);
    if (!kpu) return 1;

    if (write_parameters(kpu) || write_input(kpu)) return fail(kpu, "loading the memories");

    const uint32_t regs = OPENKPU_REGS_BASE;
    if (openkpu_write64(kpu, regs + OPENKPU_EIGHT_BIT_MODE, 1, 0) ||
        openkpu_write64(kpu, regs + OPENKPU_INTERRUPT_MASK, 6, 0))
        return fail(kpu, "setting up");
    for (int i = 0; i < 12; ++i)
        if (openkpu_write64(kpu, regs + OPENKPU_LAYER_ARGUMENT_FIFO, layer[i], 0)) return fail(kpu, "pushing the layer");
    if (openkpu_run(kpu, 100000)) return fail(kpu, "waiting for the layer");
    if (openkpu_read64(kpu, regs + OPENKPU_EXT_CYCLES, &cycles) ||
        openkpu_read(kpu, OPENKPU_AIRAM_BASE + DST_ROW * ROW, result, sizeof result))
        return fail(kpu, "reading the result");

    for (int c = 0; c < OC; ++c)
        for (int y = 0; y < OUT; ++y)
            for (int x = 0; x < OUT; ++x) {
                const uint8_t got = result[y * ROW + c * SLOT + x];
                printf("%4d%s", got, x == OUT - 1 ? "\n" : "");
                wrong += got != expected[c][y][x];
            }
    printf("%" PRIu64 " clock cycles, %d wrong pixels\n", cycles, wrong);
    openkpu_destroy(kpu);
    return wrong != 0;
}
