// SPDX-License-Identifier: Apache-2.0
#include "flash_model.h"

#include <algorithm>

uint8_t FlashModel::step(uint64_t now, bool cs_n, bool sclk, uint8_t io) {
    if (cs_n) {
        if (selected_) commit(now);
        selected_ = false;
        out_ = 0xF;
    } else {
        if (!selected_) {
            selected_ = true;
            opcode_ = 0;
            bits_ = 0;
            bytes_ = 0;
            lanes_ = data_lanes_ = 1;
            dummy_ = 0;
            sending_ = ignored_ = false;
            page_.clear();
            sclk_ = sclk;
        }
        if (sclk && !sclk_) rising(now, io);
        if (!sclk && sclk_) falling();
    }
    sclk_ = sclk;
    return out_;
}

bool FlashModel::is_read() const {
    switch (opcode_) {
        case 0x03: case 0x0B: case 0x3B: case 0xBB: return true;
        case 0x6B: case 0xEB: return quad_enabled_;
        default: return false;
    }
}

uint8_t FlashModel::next_byte(uint64_t now) {
    if (opcode_ == 0x05) return uint8_t((busy(now) ? 1 : 0) | (write_enabled_ ? 2 : 0));
    if (opcode_ == 0x35) return uint8_t(quad_enabled_ ? 2 : 0);
    if (opcode_ == 0x9F) {
        const size_t index = bytes_ - 1;
        return index < 3 ? uint8_t(jedec_ >> (16 - 8 * index)) : 0;
    }
    const uint8_t value = memory[address_ % memory.size()];
    address_ = (address_ + 1) & 0xFFFFFF;
    return value;
}

void FlashModel::rising(uint64_t now, uint8_t io) {
    if (dummy_ > 0) {
        if (--dummy_ == 0) {
            lanes_ = data_lanes_;
            sending_ = true;
            shift_ = next_byte(now);
        }
        return;
    }
    if (sending_) {
        shift_ = uint8_t(shift_ << lanes_);
    } else if (lanes_ == 1) {
        shift_ = uint8_t(shift_ << 1 | (io & 1));
    } else {
        shift_ = uint8_t(shift_ << lanes_ | (io & ((1u << lanes_) - 1)));
    }
    bits_ += lanes_;
    if (bits_ < 8) return;
    bits_ = 0;
    ++bytes_;
    if (sending_)
        shift_ = next_byte(now);
    else
        byte_in(now, shift_);
}

void FlashModel::falling() {
    if (!sending_ || ignored_)
        out_ = 0xF;
    else if (lanes_ == 1)
        out_ = uint8_t(0xD | (shift_ >> 7) << 1);
    else if (lanes_ == 2)
        out_ = uint8_t(0xC | shift_ >> 6);
    else
        out_ = uint8_t(shift_ >> 4);
}

void FlashModel::byte_in(uint64_t now, uint8_t value) {
    if (bytes_ == 1) {
        opcode_ = value;
        ignored_ = busy(now) && opcode_ != 0x05;
        const bool armed = reset_armed_;
        reset_armed_ = opcode_ == 0x66;
        if (opcode_ == 0x99 && armed) write_enabled_ = false;
        if (opcode_ == 0x05 || opcode_ == 0x35 || opcode_ == 0x9F) {
            sending_ = true;
            shift_ = next_byte(now);
        }
        if (opcode_ == 0xBB) lanes_ = 2;
        if (opcode_ == 0xEB && quad_enabled_) lanes_ = 4;
        if (opcode_ == 0x3B || opcode_ == 0xBB) data_lanes_ = 2;
        if (opcode_ == 0x6B || opcode_ == 0xEB) data_lanes_ = 4;
        return;
    }
    if (bytes_ <= 4) address_ = (address_ << 8 | value) & 0xFFFFFF;
    if (opcode_ == 0x02 && bytes_ > 4) page_.push_back(value);
    if (opcode_ == 0x31 && bytes_ == 2) page_.push_back(value);
    if (!is_read()) return;
    const bool mode_byte = opcode_ == 0xBB || opcode_ == 0xEB;
    if (bytes_ != (mode_byte ? 5u : 4u)) return;
    dummy_ = opcode_ == 0x03 ? 0 : mode_byte ? timing.dual_quad_dummy : 8;
    if (dummy_ == 0) {
        lanes_ = data_lanes_;
        sending_ = true;
        shift_ = next_byte(now);
    }
}

void FlashModel::commit(uint64_t now) {
    if (bits_ != 0 || ignored_) return;
    if (opcode_ == 0x06 && bytes_ == 1) write_enabled_ = true;
    if (opcode_ == 0x04 && bytes_ == 1) write_enabled_ = false;
    if (!write_enabled_) return;
    const size_t at = address_ % memory.size();
    if (opcode_ == 0x02 && !page_.empty()) {
        busy_for(now, timing.page_program, at / kPage * kPage, kPage);
        for (size_t i = 0; i < page_.size(); ++i) memory[busy_first_ + (at + i) % kPage] &= page_[i];
    } else if (opcode_ == 0x20 && bytes_ == 4) {
        busy_for(now, timing.sector_erase, at / kSector * kSector, kSector);
        std::fill_n(memory.begin() + busy_first_, kSector, 0xFF);
    } else if (opcode_ == 0x31 && bytes_ == 2) {
        busy_for(now, timing.page_program, 0, 0);
        quad_enabled_ = page_[0] & 2;
    }
}

void FlashModel::busy_for(uint64_t now, uint64_t duration, size_t first, size_t bytes) {
    busy_until_ = now + duration;
    busy_first_ = first;
    busy_bytes_ = bytes;
    write_enabled_ = false;
}

void FlashModel::power_cut(uint64_t now) {
    if (busy(now)) {
        uint32_t noise = uint32_t(now) * 2654435761u + 1u;
        for (size_t i = 0; i < busy_bytes_; ++i) {
            noise = noise * 1664525u + 1013904223u;
            memory[busy_first_ + i] ^= uint8_t(noise >> 24);
        }
    }
    busy_until_ = 0;
    selected_ = write_enabled_ = reset_armed_ = false;
    out_ = 0xF;
}
