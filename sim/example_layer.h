/* SPDX-License-Identifier: Apache-2.0 */
/* The layer that the examples run: an 8x8 map of 2 channels, 3x3 convolution to 3 channels, 2x2 maximum.
 * docs/registers.md explains every field of the descriptor. */
#ifndef EXAMPLE_LAYER_H
#define EXAMPLE_LAYER_H

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

/* The input map into the AI RAM. */
static int write_input(openkpu *kpu) {
    uint8_t rows[IN * ROW] = {0};
    for (int c = 0; c < IC; ++c)
        for (int y = 0; y < IN; ++y)
            for (int x = 0; x < IN; ++x) rows[y * ROW + c * SLOT + x] = (uint8_t)(31 * c + 17 * y + 5 * x + 3);
    return openkpu_write(kpu, OPENKPU_AIRAM_BASE, rows, sizeof rows);
}

#endif
