/* SPDX-License-Identifier: Apache-2.0 */
// SPI NOR flash for simulations: JEDEC command set, pin level, fast.
//
// Call step() after every change of chip select or SPI clock. Time is in any unit, as
// long as the same one is used for the busy times. Commands: 03 0B 3B 6B BB EB (reads),
// 9F 05 06 04 (id, status, write enable and disable), 02 20 (page program, 4 KB erase),
// 35 31 (status register 2, of which only quad enable exists), 66 99 (reset). Like a real
// part it does not know 6B and EB until quad is enabled, ignores a program or erase that
// does not end on a byte boundary, wraps a program inside its 256-byte page, clears bits
// only, and answers nothing but the status while busy. power_cut() leaves garbage where it
// was writing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

class FlashModel {
public:
    struct Timing {
        uint64_t page_program = 3000;
        uint64_t sector_erase = 9000;
        unsigned dual_quad_dummy = 4;  // SPI cycles behind the mode byte of BB and EB
    };

    explicit FlashModel(size_t bytes, uint32_t jedec = 0xEF4018) : memory(bytes, 0xFF), jedec_(jedec) {}

    // Level of the four lanes; lanes the flash does not drive read as pulled up.
    uint8_t step(uint64_t now, bool cs_n, bool sclk, uint8_t io);
    void power_cut(uint64_t now);
    bool busy(uint64_t now) const { return now < busy_until_; }

    std::vector<uint8_t> memory;
    Timing timing;

private:
    static constexpr size_t kPage = 256;
    static constexpr size_t kSector = 4096;

    void rising(uint64_t now, uint8_t io);
    void falling();
    void byte_in(uint64_t now, uint8_t value);
    void commit(uint64_t now);
    bool is_read() const;
    void busy_for(uint64_t now, uint64_t duration, size_t first, size_t bytes);
    uint8_t next_byte(uint64_t now);

    uint32_t jedec_;
    bool selected_ = false;
    bool sclk_ = false;
    bool write_enabled_ = false;
    bool reset_armed_ = false;
    bool quad_enabled_ = false;  // kept without power
    bool ignored_ = false;
    uint8_t opcode_ = 0;
    unsigned bits_ = 0;       // bits of the byte in progress
    size_t bytes_ = 0;        // whole bytes received or sent
    unsigned lanes_ = 1;
    unsigned dummy_ = 0;      // dummy cycles left
    unsigned data_lanes_ = 1;
    bool sending_ = false;
    uint8_t shift_ = 0;
    uint8_t out_ = 0xF;
    uint32_t address_ = 0;
    std::vector<uint8_t> page_;
    uint64_t busy_until_ = 0;
    size_t busy_first_ = 0;
    size_t busy_bytes_ = 0;
};
