/* One layer on the Verilated KPU, driven from C as a firmware driver would.
 *
 *   lib=$(python -m openkpu.devices.build tiny)
 *   cc -Isim/include sim/example.c "$lib" -Wl,-rpath,"$(dirname "$lib")" -o example && ./example
 *
 * The layer: an 8x8 map of 2 channels, 3x3 convolution to 3 channels, 2x2 maximum. Its
 * tables are computed here; docs/ explains every field. Prints the output map and the
 * clock cycles, and returns 1 if the known output does not come out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "openkpu.h"
#include "openkpu_regs.h"

enum { IN = 8, OUT = 4, IC = 2, OC = 3, SLOT = 16, ROW = 64, DST_ROW = 32 };

static const uint32_t bn_address = 0x40010000, weight_address = 0x40020000, act_address = 0x40030000;

static const uint64_t layer[12] = {
    0x0000000000000001, 0x0000002000000000, 0x0002000200000001, 0x00000C0300001C07,
    0x400100000A0F0411, 0x40020000001B0001, 0x0000000000000000, 0x40030000C0010008,
    0x0000000000410004, 0x00FFFF80FFFFF600, 0x0000000000002D00, 0x0000002F000F0000};

static const uint8_t expected[OC][OUT][OUT] = {
    {{214, 226, 238, 244}, {242, 243, 244, 241}, {244, 239, 239, 243}, {242, 234, 234, 243}},
    {{189, 183, 184, 192}, {183, 186, 188, 199}, {191, 193, 195, 196}, {194, 196, 198, 199}},
    {{168, 196, 188, 200}, {197, 182, 173, 173}, {180, 153, 145, 151}, {163, 124, 116, 130}}};

static int fail(openkpu *kpu, const char *what) {
    fprintf(stderr, "%s: %s\n", what, openkpu_message(kpu));
    openkpu_destroy(kpu);
    return 1;
}

static int write_parameters(openkpu *kpu) {
    /* x_start, y_mul, shift of the first segments; the others begin behind every value that occurs. */
    static const struct { int64_t x_start; int32_t y_mul; uint32_t shift; } segments[6] = {
        {-(1ll << 35), 0, 0}, {-2000, 3277, 15}, {0, 16384, 14}, {40, 8192, 14}, {100, 4096, 14}, {400, -2048, 16}};
    static const uint64_t bias[2] = {0xE2E2F5AA8C640000, 0xE2E2E2E2E2E2E2E2};
    static const uint64_t bn[OC] = {0x0FFFFFFFE2000190, 0x0F000000140001B5, 0x0F000000460001DA};
    uint8_t weights[56] = {0};
    uint64_t act[18];
    for (int o = 0; o < OC; ++o)
        for (int i = 0; i < IC; ++i)
            for (int k = 0; k < 9; ++k)
                weights[(o * IC + i) * 9 + k] = (uint8_t)(101 * o + 59 * i + 23 * (k / 3) + 7 * (k % 3) + 90);
    for (int i = 0; i < 16; ++i) {
        const int64_t x_start = i < 6 ? segments[i].x_start : 1000 + i - 6;
        act[i] = ((uint64_t)x_start & 0xFFFFFFFFFull) << 24;
        if (i < 6) act[i] |= ((uint64_t)segments[i].y_mul & 0xFFFF) << 8 | segments[i].shift;
    }
    memcpy(act + 16, bias, sizeof bias);
    return openkpu_write(kpu, weight_address, weights, sizeof weights) ||
           openkpu_write(kpu, bn_address, bn, sizeof bn) || openkpu_write(kpu, act_address, act, sizeof act);
}

int main(void) {
    openkpu_config config;
    uint8_t rows[IN * ROW] = {0}, result[OUT * ROW];
    uint64_t cycles;
    int wrong = 0;

    openkpu_default_config(&config);
    openkpu *kpu = openkpu_create(&config);
    if (!kpu) return 1;

    for (int c = 0; c < IC; ++c)
        for (int y = 0; y < IN; ++y)
            for (int x = 0; x < IN; ++x) rows[y * ROW + c * SLOT + x] = (uint8_t)(31 * c + 17 * y + 5 * x + 3);
    if (write_parameters(kpu) || openkpu_write(kpu, OPENKPU_AIRAM_BASE, rows, sizeof rows))
        return fail(kpu, "loading the memories");

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
