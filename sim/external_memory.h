/* SPDX-License-Identifier: Apache-2.0 */
// The memory behind the cached AI RAM: one AXI4 slave whose data pins move one beat at a time, as those of an SDRAM do.
//
// Reads and writes share the pins. Every burst first waits `latency` cycles after its address (row activation and column
// latency; those of bursts that queue up overlap), then each 8-byte beat takes `beat_tenths` tenths of a cycle: 24 is
// 200 MB/s at 60 MHz. Responses come in order. Stalls at random are the caller's, who passes `stall`.
#ifndef EXTERNAL_MEMORY_H
#define EXTERNAL_MEMORY_H

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

class ExternalMemory {
public:
    ExternalMemory(size_t bytes, uint32_t latency, uint32_t beat_tenths)
        : bytes(bytes), latency_(10 * uint64_t(latency)), beat_(beat_tenths) {}

    void reset() {
        reads_.clear();
        writes_.clear();
        responses_ = 0;
    }

    // Before the clock's edge: drive the slave's side of the port.
    template <typename Top>
    void drive(Top& top, uint64_t now, bool stall) {
        const uint64_t time = 10 * now;
        top.m_mem_arready = reads_.size() < kOutstanding && !stall;
        top.m_mem_awready = writes_.size() < kOutstanding && !stall;
        top.m_mem_wready = !writes_.empty() && writes_.front().ready <= time && pins_ <= time && !stall;
        const bool reading = !reads_.empty() && reads_.front().ready <= time;
        if (!top.m_mem_rvalid && reading && pins_ <= time && !top.m_mem_wready && !stall) {
            top.m_mem_rvalid = 1;
            top.m_mem_rid = reads_.front().id;
            top.m_mem_rlast = reads_.front().beats == 1;
            top.m_mem_rresp = inside(reads_.front().address) ? 0 : 3;
            uint64_t word = 0;
            if (inside(reads_.front().address)) std::memcpy(&word, &bytes[reads_.front().address], 8);
            top.m_mem_rdata = word;
        }
        top.m_mem_bvalid = responses_ != 0;
        top.m_mem_bresp = failed_ ? 3 : 0;
    }

    // With the handshakes of the cycle, before the edge changes the core's outputs.
    template <typename Top>
    void sample(Top& top, uint64_t now) {
        const uint64_t time = 10 * now;
        if (top.m_mem_arvalid && top.m_mem_arready)
            reads_.push_back({top.m_mem_araddr, top.m_mem_arlen + 1u, top.m_mem_arid, time + latency_});
        if (top.m_mem_awvalid && top.m_mem_awready)
            writes_.push_back({top.m_mem_awaddr, top.m_mem_awlen + 1u, top.m_mem_awid, time + latency_});
        if (top.m_mem_wvalid && top.m_mem_wready) {
            Burst& burst = writes_.front();
            failed_ = !inside(burst.address);
            for (int i = 0; i < 8 && !failed_; ++i)
                if (top.m_mem_wstrb >> i & 1) bytes[burst.address + i] = uint8_t(top.m_mem_wdata >> 8 * i);
            move(burst, time);
            if (top.m_mem_wlast) {
                writes_.pop_front();
                ++responses_;
            }
        }
        if (top.m_mem_bvalid && top.m_mem_bready) --responses_;
        taken_ = top.m_mem_rvalid && top.m_mem_rready;
        if (taken_) {
            move(reads_.front(), time);
            if (reads_.front().beats == 0) reads_.pop_front();
        }
    }

    // After the edge.
    template <typename Top>
    void finish(Top& top) {
        if (taken_) top.m_mem_rvalid = 0;
    }

    bool idle() const { return writes_.empty() && reads_.empty() && !responses_; }

    std::vector<uint8_t> bytes;

private:
    struct Burst {
        uint32_t address, beats, id;
        uint64_t ready;  // in tenths of a cycle
    };
    static constexpr size_t kOutstanding = 8;

    bool inside(uint32_t address) const { return size_t(address) + 8 <= bytes.size(); }
    void move(Burst& burst, uint64_t time) {
        pins_ = (time < pins_ + 10 ? pins_ : time) + beat_;  // the part of a cycle is not lost
        burst.address += 8;
        --burst.beats;
    }

    std::deque<Burst> reads_, writes_;
    uint64_t latency_, beat_;
    uint64_t pins_ = 0;  // when the data pins are free
    unsigned responses_ = 0;
    bool failed_ = false, taken_ = false;
};

#endif
