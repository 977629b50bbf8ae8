// SPDX-License-Identifier: Apache-2.0
// The C++ flash model behind DPI for a Verilated bench, and behind a C ABI for the bench's Python (ctypes).
//
// While cuts are watched, the power is cut in a copy of the flash before every change on the pins, in three ways: at
// once; the controller's first, so that chip select rises; and the controller's only, so that the flash goes on.
// Whatever the way, no byte outside the window may differ, and the flash must take an erase and a program afterwards.
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "../../sim/flash_model.h"

namespace {

constexpr uint64_t kLater = 1u << 30;  // any erase has ended by then

FlashModel* model = nullptr;

struct {
    bool active = false;
    size_t first, end;
    std::vector<uint8_t> before;
    int cuts;
    std::string failure;
} watch;

std::vector<uint8_t> transfer(FlashModel& flash, uint64_t now, std::vector<uint8_t> bytes, size_t answer = 0) {
    bytes.resize(bytes.size() + answer);
    for (uint8_t& byte : bytes) {
        uint8_t in = 0;
        for (int bit = 7; bit >= 0; --bit) {
            const uint8_t out = uint8_t(0xE | (byte >> bit & 1));
            const uint8_t level = flash.step(now, false, false, out);
            in = uint8_t(in << 1 | (level >> 1 & 1));
            flash.step(now, false, true, out);
        }
        byte = in;
    }
    flash.step(now, false, false, 0xF);
    flash.step(now, true, false, 0xF);
    return {bytes.end() - long(answer), bytes.end()};
}

bool usable(FlashModel& flash, uint64_t now, uint32_t sector) {
    const std::vector<uint8_t> address = {uint8_t(sector >> 16), uint8_t(sector >> 8), uint8_t(sector)};
    const std::vector<uint8_t> data = {0xA5, 0x00, 0x3C};
    auto command = [&](uint8_t opcode, std::vector<uint8_t> rest) {
        transfer(flash, now, {0x06});
        rest.insert(rest.begin(), opcode);
        transfer(flash, now, rest);
        now += kLater;
    };
    auto program = address;
    program.insert(program.end(), data.begin(), data.end());
    if (transfer(flash, now, {0x05}, 1)[0] & 1) return false;
    command(0x20, address);
    command(0x02, program);
    return transfer(flash, now, {0x03, address[0], address[1], address[2]}, data.size()) == data;
}

void cut(uint64_t now, int way) {
    FlashModel flash = *model;
    if (way > 0) flash.step(now, true, false, 0xF);
    if (way < 2) flash.power_cut(now);
    ++watch.cuts;
    bool intact = true;
    for (size_t i = 0; i < watch.before.size(); ++i)
        intact &= (i >= watch.first && i < watch.end) || flash.memory[i] == watch.before[i];
    const bool works = usable(flash, now + kLater, uint32_t(watch.first));
    if (intact && works) return;
    char text[120];
    snprintf(text, sizeof text, "cut %d (way %d) at %llu ns: %s", watch.cuts, way, (unsigned long long)now,
             intact ? "the flash cannot be burnt again" : "a byte outside the sector changed");
    if (watch.failure.empty()) watch.failure = text;
}

}  // namespace

extern "C" {

void flash_dpi_open(int bytes, int dummy) {
    delete model;
    model = new FlashModel(size_t(bytes));
    model->timing.dual_quad_dummy = unsigned(dummy);
}

int flash_dpi_step(long long now, int cs_n, int sclk, int io) {
    if (watch.active)
        for (int way : {0, 1, 2}) cut(uint64_t(now), way);
    return model->step(uint64_t(now), cs_n != 0, sclk != 0, uint8_t(io));
}

void flash_poke(uint32_t at, const uint8_t* data, uint32_t size) { memcpy(&model->memory[at], data, size); }
void flash_peek(uint32_t at, uint8_t* data, uint32_t size) { memcpy(data, &model->memory[at], size); }
void flash_power_cut(uint64_t now) { model->power_cut(now); }

void flash_watch_cuts(uint32_t first, uint32_t end) { watch = {true, first, end, model->memory, 0, ""}; }

// Ends the watch: how many cuts were tried; what the first bad one did, or an empty text.
int flash_watched_cuts(char* failure, uint32_t size) {
    watch.active = false;
    snprintf(failure, size, "%s", watch.failure.c_str());
    return watch.cuts;
}
}
