// SPDX-License-Identifier: Apache-2.0
// The Verilated kpu_soc with a flash chip, behind the C interface of openkpu_soc.h.
#include "openkpu_soc.h"

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "Vkpu.h"
#include "flash_model.h"
#include "verilated.h"

namespace {

constexpr uint32_t kMaxBeats = 256;
constexpr uint32_t kPage = 4096;  // no burst crosses a 4 KiB boundary
constexpr uint32_t kSlverr = 2;
constexpr uint64_t kResetCycles = 8;

}  // namespace

struct openkpu_soc {
    explicit openkpu_soc(const openkpu_soc_config& config);
    ~openkpu_soc() {
        // Verilator's runtime takes the thread's latest context for its own, which may be that of a device closed before.
        Verilated::threadContextp(&context);
        top->final();
    }

    void reset();
    void cycle();
    int transfer(bool writes, uint32_t address, uint8_t* data, size_t size, uint64_t limit);
    int fail(int code, const char* format, ...) __attribute__((format(printf, 3, 4)));

    FlashModel flash;
    bool present = true;
    std::string message;
    std::atomic<uint64_t> now{0};
    VerilatedContext context;
    std::unique_ptr<Vkpu> top;

private:
    // A host access, burst by burst; it survives a time-out.
    enum Phase { kClosed, kNext, kAsked, kBeats, kAnswer };
    struct Transfer {
        Phase phase;
        bool writes;
        uint32_t address;
        size_t size;
        uint8_t* data;   // null: the caller has gone
        size_t done;     // bytes moved
        size_t left;     // bytes of the burst still to move
        uint32_t at;     // address of the burst
        uint32_t first, count;  // bytes of the word on the bus
        uint32_t worst;  // response of the burst
    };

    void step_flash();
    int finish_other(const Transfer& wanted, uint64_t limit);
    int go_on(uint64_t limit);
    void begin_burst();
    void next_count();
    void offer_beat();

    Transfer open{};

    // Handshakes of the cycle that has just passed.
    bool aw_done = false, w_done = false, b_done = false, ar_done = false, r_done = false;
    uint64_t r_data = 0;
    uint32_t r_resp = 0, b_resp = 0;
    bool cs_n = true, sclk = false;
};

openkpu_soc::openkpu_soc(const openkpu_soc_config& config) : flash(config.flash_bytes, config.jedec) {
    flash.timing.page_program = config.program_cycles;
    flash.timing.sector_erase = config.erase_cycles;
    context.randReset(config.random_state ? 2 : 0);
    context.randSeed(static_cast<int>(config.seed & 0x7fffffff) + 1);
    top = std::make_unique<Vkpu>(&context, "soc");
    top->s_axi_awsize = top->s_axi_arsize = 3;
    top->s_axi_awburst = top->s_axi_arburst = 1;
    top->s_axi_awid = top->s_axi_arid = 0;
    top->s_axi_awvalid = top->s_axi_wvalid = top->s_axi_arvalid = 0;
    top->s_axi_bready = top->s_axi_rready = 1;
    top->spi_io_i = 0xF;
    top->clk = 0;
    reset();
}

int openkpu_soc::fail(int code, const char* format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    message = text;
    return code;
}

void openkpu_soc::reset() {
    top->s_axi_awvalid = top->s_axi_wvalid = top->s_axi_arvalid = 0;
    open = Transfer{};
    top->rst = 1;
    for (uint64_t i = 0; i < kResetCycles; ++i) cycle();
    top->rst = 0;
    cycle();
}

// The pins change at the rising clock edge only, so the flash is asked once per change.
void openkpu_soc::step_flash() {
    if (top->spi_cs_n == cs_n && top->spi_sclk == sclk) return;
    cs_n = top->spi_cs_n;
    sclk = top->spi_sclk;
    if (present)
        top->spi_io_i = flash.step(now, cs_n, sclk, uint8_t(top->spi_io_o | (~top->spi_io_oe & 0xF)));
}

void openkpu_soc::cycle() {
    Verilated::threadContextp(&context);
    top->clk = 0;
    top->eval();
    aw_done = top->s_axi_awvalid && top->s_axi_awready;
    w_done = top->s_axi_wvalid && top->s_axi_wready;
    b_done = top->s_axi_bvalid && top->s_axi_bready;
    ar_done = top->s_axi_arvalid && top->s_axi_arready;
    r_done = top->s_axi_rvalid && top->s_axi_rready;
    r_data = top->s_axi_rdata;
    r_resp = top->s_axi_rresp;
    b_resp = top->s_axi_bresp;
    top->clk = 1;
    top->eval();
    step_flash();
    now.store(now + 1, std::memory_order_relaxed);
}

// A transfer that its caller left by a time-out stays on the bus; this ends it. What it reads is thrown away, what it
// has not written yet is not written.
int openkpu_soc::finish_other(const Transfer& wanted, uint64_t limit) {
    if (!open.phase || (open.writes == wanted.writes && open.address == wanted.address && open.size == wanted.size))
        return OPENKPU_OK;
    open.data = nullptr;
    open.size = open.done + (open.phase == kNext ? 0 : open.left);
    return go_on(limit);
}

int openkpu_soc::transfer(bool writes, uint32_t address, uint8_t* data, size_t size, uint64_t limit) {
    Transfer wanted{};
    wanted.writes = writes;
    wanted.address = address;
    wanted.size = size;
    const int result = finish_other(wanted, limit);
    if (result == OPENKPU_TIMEOUT) return result;
    if (!open.phase) {
        open = wanted;
        open.phase = kNext;
    }
    open.data = data;
    return go_on(limit);
}

int openkpu_soc::go_on(uint64_t limit) {
    Transfer& t = open;
    for (uint64_t waited = 0;; ++waited) {
        if (t.phase == kNext) {
            if (t.done == t.size) {
                t.phase = kClosed;
                return OPENKPU_OK;
            }
            begin_burst();
        }
        if (waited == limit)
            return fail(OPENKPU_TIMEOUT, "a %s at bus address 0x%08x was not answered within %llu cycles",
                        t.writes ? "write" : "read", t.at, (unsigned long long)limit);
        cycle();
        if (t.phase == kAsked && (t.writes ? aw_done : ar_done)) {
            top->s_axi_awvalid = top->s_axi_arvalid = 0;
            t.phase = kBeats;
            if (t.writes) offer_beat();
        } else if (t.phase == kBeats && t.writes && w_done) {
            top->s_axi_wvalid = 0;
            t.done += t.count;
            t.left -= t.count;
            if (t.left) offer_beat();
            else t.phase = kAnswer;
        } else if (t.phase == kBeats && r_done) {
            t.worst = std::max(t.worst, r_resp);
            next_count();
            if (t.data) std::memcpy(t.data + t.done, reinterpret_cast<const uint8_t*>(&r_data) + t.first, t.count);
            t.done += t.count;
            t.left -= t.count;
            if (!t.left) t.phase = kNext;
        }
        if (t.phase == kAnswer && b_done) {
            t.worst = b_resp;
            t.phase = kNext;
        }
        if (t.phase == kNext && t.worst >= kSlverr) {
            t.phase = kClosed;
            const char* what = t.worst == kSlverr ? "slave error" : t.writes ? "nothing can be written there" : "nothing is there";
            return fail(OPENKPU_ADDRESS, "a %s at bus address 0x%08x was refused (%s)", t.writes ? "write" : "read",
                        t.at, what);
        }
    }
}

// The next burst: at most 256 words and not beyond a 4 KiB boundary.
void openkpu_soc::begin_burst() {
    Transfer& t = open;
    t.at = t.address + uint32_t(t.done);
    const uint32_t skip = t.at % 8;
    const size_t words = (skip + t.size - t.done + 7) / 8;
    const uint32_t beats = uint32_t(std::min<size_t>({words, kMaxBeats, (kPage - (t.at - skip) % kPage) / 8}));
    t.left = std::min<size_t>(8 * size_t(beats) - skip, t.size - t.done);
    t.worst = 0;
    t.phase = kAsked;
    (t.writes ? top->s_axi_awaddr : top->s_axi_araddr) = t.at - skip;
    (t.writes ? top->s_axi_awlen : top->s_axi_arlen) = uint8_t(beats - 1);
    (t.writes ? top->s_axi_awvalid : top->s_axi_arvalid) = 1;
}

// Which bytes of the next word belong to the transfer.
void openkpu_soc::next_count() {
    open.first = (open.address + uint32_t(open.done)) % 8;
    open.count = uint32_t(std::min<size_t>(8 - open.first, open.left));
}

void openkpu_soc::offer_beat() {
    Transfer& t = open;
    next_count();
    uint64_t word = 0;
    if (t.data) std::memcpy(reinterpret_cast<uint8_t*>(&word) + t.first, t.data + t.done, t.count);
    top->s_axi_wdata = word;
    top->s_axi_wstrb = t.data ? uint8_t(((1u << t.count) - 1) << t.first) : 0;
    top->s_axi_wlast = t.left == t.count;
    top->s_axi_wvalid = 1;
}

namespace {

bool inside(const openkpu_soc* soc, uint32_t at, size_t size) {
    return at <= soc->flash.memory.size() && size <= soc->flash.memory.size() - at;
}

int outside(openkpu_soc* soc, uint32_t at, size_t size) {
    return soc->fail(OPENKPU_ADDRESS, "the flash chip of %zu bytes does not have %zu bytes at 0x%x",
                     soc->flash.memory.size(), size, at);
}

}  // namespace

extern "C" {

void openkpu_soc_default_config(openkpu_soc_config* config) {
    *config = openkpu_soc_config{16u << 20, 0xEF4018, 20000, 200000, 0, 1};
}

openkpu_soc* openkpu_soc_create(const openkpu_soc_config* config) {
    const uint32_t bytes = config->flash_bytes;
    const bool legal = bytes >= 1u << 16 && bytes <= 1u << 24 && (bytes & (bytes - 1)) == 0;
    return legal ? new openkpu_soc(*config) : nullptr;
}

void openkpu_soc_destroy(openkpu_soc* soc) { delete soc; }

void openkpu_soc_reset(openkpu_soc* soc) { soc->reset(); }

int openkpu_soc_read(openkpu_soc* soc, uint32_t address, void* data, size_t size, uint64_t cycles) {
    return soc->transfer(false, address, static_cast<uint8_t*>(data), size, cycles);
}

int openkpu_soc_write(openkpu_soc* soc, uint32_t address, const void* data, size_t size, uint64_t cycles) {
    return soc->transfer(true, address, const_cast<uint8_t*>(static_cast<const uint8_t*>(data)), size, cycles);
}

int openkpu_soc_run(openkpu_soc* soc, uint32_t lines, uint64_t cycles) {
    for (uint64_t i = 0; i < cycles && !(soc->top->irq & lines); ++i) soc->cycle();
    if (soc->top->irq & lines) return OPENKPU_OK;
    return soc->fail(OPENKPU_TIMEOUT, "no interrupt within %llu cycles", (unsigned long long)cycles);
}

uint32_t openkpu_soc_irq(const openkpu_soc* soc) { return soc->top->irq; }

uint64_t openkpu_soc_cycles(const openkpu_soc* soc) { return soc->now.load(std::memory_order_relaxed); }

int openkpu_soc_flash_read(openkpu_soc* soc, uint32_t at, void* data, size_t size) {
    if (!inside(soc, at, size)) return outside(soc, at, size);
    std::copy_n(soc->flash.memory.begin() + at, size, static_cast<uint8_t*>(data));
    return OPENKPU_OK;
}

int openkpu_soc_flash_write(openkpu_soc* soc, uint32_t at, const void* data, size_t size) {
    if (!inside(soc, at, size)) return outside(soc, at, size);
    std::copy_n(static_cast<const uint8_t*>(data), size, soc->flash.memory.begin() + at);
    return OPENKPU_OK;
}

void openkpu_soc_flash_present(openkpu_soc* soc, int present) {
    soc->present = present != 0;
    if (soc->present) return;
    soc->flash.power_cut(soc->now);
    soc->top->spi_io_i = 0xF;
}

void openkpu_soc_power_cut(openkpu_soc* soc) {
    soc->flash.power_cut(soc->now);
    soc->reset();
}

const char* openkpu_soc_message(const openkpu_soc* soc) { return soc->message.c_str(); }

}  // extern "C"
