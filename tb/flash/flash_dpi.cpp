// The C++ flash model behind DPI for a Verilated bench, and behind a C ABI for the bench's Python (ctypes).
#include <cstring>

#include "../../sim/flash_model.h"

namespace {
FlashModel* model = nullptr;
}

extern "C" {

void flash_dpi_open(int bytes, int dummy) {
    delete model;
    model = new FlashModel(size_t(bytes));
    model->timing.dual_quad_dummy = unsigned(dummy);
}

int flash_dpi_step(long long now, int cs_n, int sclk, int io) {
    return model->step(uint64_t(now), cs_n != 0, sclk != 0, uint8_t(io));
}

void flash_poke(uint32_t at, const uint8_t* data, uint32_t size) { memcpy(&model->memory[at], data, size); }
void flash_peek(uint32_t at, uint8_t* data, uint32_t size) { memcpy(data, &model->memory[at], size); }
void flash_power_cut(uint64_t now) { model->power_cut(now); }
}
