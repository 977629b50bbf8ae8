// SPDX-License-Identifier: Apache-2.0
// The Verilated kpu_core behind the C interface of openkpu.h.
//
// One function, cycle(), moves the clock: it presents the inputs, lets combinational
// outputs settle, notes which handshakes happen, and gives the rising edge. The memory
// model and the host's bus transactions are state machines around it, so that all of
// them go on whatever the caller waits for.
#include "openkpu.h"

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "Vkpu.h"
#include "Vkpu___024root.h"
#include "external_memory.h"
#include "openkpu_regs.h"
#include "verilated.h"
#if defined(OPENKPU_FST)
#include "verilated_fst_c.h"
using Waves = VerilatedFstC;
#elif defined(OPENKPU_VCD)
#include "verilated_vcd_c.h"
using Waves = VerilatedVcdC;
#endif
#if defined(OPENKPU_FST) || defined(OPENKPU_VCD)
#define OPENKPU_TRACES
#endif

namespace {

// What kpu_regs knows, where no port shows it (sim/visible.vlt).
#define REGISTERS(signal) top->rootp->kpu_core__DOT__regs__DOT__##signal

constexpr uint32_t kAddressMask = (1u << 30) - 1;
constexpr uint32_t kSramOffset = OPENKPU_SRAM_BASE & kAddressMask;
constexpr uint32_t kAiramOffset = OPENKPU_AIRAM_BASE & kAddressMask;
constexpr uint32_t kRegsOffset = OPENKPU_REGS_BASE & kAddressMask;
constexpr uint32_t kRegsBytes = 1u << 16;
constexpr uint32_t kOffsets[] = OPENKPU_KPU_OFFSETS;
constexpr uint32_t kMaxBurst = 256;
constexpr uint32_t kSlverr = 2;
constexpr uint32_t kDecerr = 3;
// No correct transaction takes this long, even with 90 % stalls on every channel.
constexpr uint64_t kHangCycles = 1000000;
constexpr uint64_t kResetCycles = 8;

struct Burst {
    uint32_t address;
    uint32_t beats;
    uint32_t id;
    uint64_t ready;  // cycle of the first word
};

}  // namespace

struct openkpu {
    explicit openkpu(const openkpu_config& config);
    ~openkpu();

    void reset();
    void cycle();
    int read_register(uint32_t offset, uint64_t* value);
    int write_register(uint32_t offset, uint64_t value, uint64_t limit);
    int airam_read(uint32_t offset, uint8_t* data, size_t size);
    int airam_write(uint32_t offset, const uint8_t* data, size_t size);
    int airam_peek(uint32_t offset, uint8_t* data, size_t size);
    int stream(uint8_t* data, size_t size, uint64_t limit, size_t* taken, bool until_irq);
    bool idle() const;
    int trace(const char* file);
    int fail(int code, const char* format, ...) __attribute__((format(printf, 3, 4)));

    openkpu_config config;
    std::vector<uint8_t> sram;
    std::string message;
    std::atomic<uint64_t> now{0};

    VerilatedContext context;
    std::unique_ptr<Vkpu> top;

private:
    bool stalls() { return config.stall_percent != 0 && random() % 100 < config.stall_percent; }
    void drive_memory();
    uint64_t sram_word(uint32_t address) const;
    bool in_sram(uint32_t address) const;
    template <typename Done>
    int wait(Done done, uint64_t limit, const char* what);

    std::mt19937 random;
    std::deque<Burst> bursts;
#ifdef OPENKPU_CACHE_LINES
    int settle();
    ExternalMemory memory;
#endif
    // Handshakes of the cycle that has just passed.
    bool aw_done = false, w_done = false, b_done = false, ar_done = false, r_done = false;
    bool axi_aw_done = false, axi_w_done = false, axi_b_done = false, axi_ar_done = false, axi_r_done = false;
    bool stream_done = false;
    uint64_t r_data = 0, axi_r_data = 0, stream_data = 0;
    uint32_t b_resp = 0, axi_b_resp = 0, axi_r_resp = 0;
    bool want_stream = false;
#ifdef OPENKPU_TRACES
    std::unique_ptr<Waves> waves;
#endif
};

openkpu::openkpu(const openkpu_config& c)
    : config(c), sram(c.sram_bytes), random(c.seed)
#ifdef OPENKPU_CACHE_LINES
      ,
      memory(size_t{64} * OPENKPU_AIRAM_ROWS, c.memory_latency, c.memory_beat_tenths)
#endif
{
    context.randReset(config.random_state ? 2 : 0);
    context.randSeed(static_cast<int>(config.seed & 0x7fffffff) + 1);
#ifdef OPENKPU_TRACES
    context.traceEverOn(true);
#endif
    top = std::make_unique<Vkpu>(&context, "kpu");
    // Ports have no reset value of their own; the core must not see one that changes by chance.
    top->s_axi_awsize = top->s_axi_arsize = 3;
    top->s_axi_awburst = top->s_axi_arburst = 1;
    top->s_axi_awid = top->s_axi_arid = 0;
    top->s_axil_wstrb = 0xff;
    top->s_axil_awvalid = top->s_axil_wvalid = top->s_axil_arvalid = 0;
    top->s_axi_awvalid = top->s_axi_wvalid = top->s_axi_arvalid = 0;
    top->s_axil_bready = top->s_axil_rready = top->s_axi_bready = top->s_axi_rready = 1;
    top->m_axi_rvalid = top->m_axi_arready = top->m_axis_tready = 0;
    top->m_mem_awready = top->m_mem_wready = top->m_mem_bvalid = top->m_mem_arready = top->m_mem_rvalid = 0;
    top->clk = 0;
    reset();
}

openkpu::~openkpu() {
    // Verilator's runtime takes the thread's latest context for its own, which may be that of a device closed before.
    Verilated::threadContextp(&context);
    trace(nullptr);
    top->final();
}

int openkpu::fail(int code, const char* format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    message = text;
    return code;
}

void openkpu::reset() {
    bursts.clear();
    top->m_axi_rvalid = 0;
#ifdef OPENKPU_CACHE_LINES
    memory.reset();
    top->m_mem_rvalid = 0;
#endif
    top->rst = 1;
    for (uint64_t i = 0; i < kResetCycles; ++i) cycle();
    top->rst = 0;
    cycle();
}

bool openkpu::in_sram(uint32_t address) const {
    return (address & kAddressMask) - kSramOffset < sram.size();
}

uint64_t openkpu::sram_word(uint32_t address) const {
    if (!in_sram(address)) return 0;
    uint64_t word;
    std::memcpy(&word, &sram[((address & kAddressMask) - kSramOffset) & ~7u], sizeof word);
    return word;
}

// Parameter memory: answers bursts in order, one word per cycle, `latency` cycles after the address.
void openkpu::drive_memory() {
    top->m_axi_arready = bursts.size() < config.outstanding && !stalls();
    // A word once offered stays until it is taken.
    if (!top->m_axi_rvalid && !bursts.empty() && bursts.front().ready <= now && !stalls()) {
        const Burst& burst = bursts.front();
        top->m_axi_rvalid = 1;
        top->m_axi_rid = burst.id;
        top->m_axi_rdata = sram_word(burst.address);
        top->m_axi_rresp = in_sram(burst.address) ? 0 : kDecerr;
        top->m_axi_rlast = burst.beats == 1;
    }
}

void openkpu::cycle() {
    Verilated::threadContextp(&context);
    drive_memory();
    if (config.stall_percent) {
        top->s_axil_bready = !stalls();
        top->s_axil_rready = !stalls();
        top->s_axi_bready = !stalls();
        top->s_axi_rready = !stalls();
    }
    top->m_axis_tready = want_stream && !stalls();
#ifdef OPENKPU_CACHE_LINES
    memory.drive(*top, now, stalls());
#endif
    top->clk = 0;
    top->eval();
#ifdef OPENKPU_TRACES
    if (waves) waves->dump(2 * now);
#endif

    aw_done = top->s_axil_awvalid && top->s_axil_awready;
    w_done = top->s_axil_wvalid && top->s_axil_wready;
    b_done = top->s_axil_bvalid && top->s_axil_bready;
    ar_done = top->s_axil_arvalid && top->s_axil_arready;
    r_done = top->s_axil_rvalid && top->s_axil_rready;
    axi_aw_done = top->s_axi_awvalid && top->s_axi_awready;
    axi_w_done = top->s_axi_wvalid && top->s_axi_wready;
    axi_b_done = top->s_axi_bvalid && top->s_axi_bready;
    axi_ar_done = top->s_axi_arvalid && top->s_axi_arready;
    axi_r_done = top->s_axi_rvalid && top->s_axi_rready;
    stream_done = top->m_axis_tvalid && top->m_axis_tready;
    b_resp = top->s_axil_bresp;
    r_data = top->s_axil_rdata;
    axi_b_resp = top->s_axi_bresp;
    axi_r_resp = top->s_axi_rresp;
    axi_r_data = top->s_axi_rdata;
    stream_data = top->m_axis_tdata;
    const bool fetch = top->m_axi_arvalid && top->m_axi_arready && !top->rst;
    const Burst burst{top->m_axi_araddr, top->m_axi_arlen + 1u, top->m_axi_arid, now + config.latency};
    const bool fetched = top->m_axi_rvalid && top->m_axi_rready;
#ifdef OPENKPU_CACHE_LINES
    if (!top->rst) memory.sample(*top, now);
#endif

    top->clk = 1;
    top->eval();
#ifdef OPENKPU_TRACES
    if (waves) waves->dump(2 * now + 1);
#endif

#ifdef OPENKPU_CACHE_LINES
    memory.finish(*top);
#endif
    if (fetch) bursts.push_back(burst);
    if (fetched) {
        top->m_axi_rvalid = 0;
        Burst& front = bursts.front();
        front.address += 8;
        if (--front.beats == 0) bursts.pop_front();
    }
    now.store(now + 1, std::memory_order_relaxed);
}

template <typename Done>
int openkpu::wait(Done done, uint64_t limit, const char* what) {
    for (uint64_t i = 0; i < limit; ++i) {
        cycle();
        if (done()) return OPENKPU_OK;
    }
    return fail(OPENKPU_HANG, "the core did not answer %s within %llu cycles", what, (unsigned long long)limit);
}

int openkpu::read_register(uint32_t offset, uint64_t* value) {
    top->s_axil_araddr = offset;
    while (stalls()) cycle();
    top->s_axil_arvalid = 1;
    int result = wait([this] { return ar_done; }, kHangCycles, "a register read");
    top->s_axil_arvalid = 0;
    if (result != OPENKPU_OK) return result;
    result = wait([this] { return r_done; }, kHangCycles, "a register read");
    *value = r_data;
    return result;
}

// A full queue would stall the bus. Waiting before the transaction instead of in it, the caller can give up.
int openkpu::write_register(uint32_t offset, uint64_t value, uint64_t limit) {
    for (uint64_t waited = 0; offset == OPENKPU_LAYER_ARGUMENT_FIFO && REGISTERS(queue_full); ++waited) {
        if (waited == limit)
            return fail(OPENKPU_TIMEOUT, "the layer queue was full for %llu cycles", (unsigned long long)limit);
        cycle();
    }
    top->s_axil_awaddr = offset;
    top->s_axil_wdata = value;
    while (stalls()) cycle();
    top->s_axil_awvalid = 1;
    top->s_axil_wvalid = 1;
    bool answered = false;
    int result = wait(
        [&] {
            if (aw_done) top->s_axil_awvalid = 0;
            if (w_done) top->s_axil_wvalid = 0;
            answered |= b_done;
            return answered;
        },
        kHangCycles, "a register write");
    top->s_axil_awvalid = 0;
    top->s_axil_wvalid = 0;
    return result;
}

int openkpu::airam_read(uint32_t offset, uint8_t* data, size_t size) {
    uint32_t address = offset & ~7u;
    const uint32_t end = static_cast<uint32_t>((offset + size + 7) & ~size_t{7});
    uint32_t skip = offset - address;
    size_t done = 0;
    while (address < end) {
        const uint32_t beats = std::min(kMaxBurst, (end - address) / 8);
        top->s_axi_araddr = address;
        top->s_axi_arlen = beats - 1;
        while (stalls()) cycle();
        top->s_axi_arvalid = 1;
        int result = wait([this] { return axi_ar_done; }, kHangCycles, "an AI-RAM read");
        top->s_axi_arvalid = 0;
        if (result != OPENKPU_OK) return result;
        for (uint32_t beat = 0; beat < beats; ++beat) {
            result = wait([this] { return axi_r_done; }, kHangCycles, "an AI-RAM read");
            if (result != OPENKPU_OK) return result;
            if (axi_r_resp >= kSlverr)
                return fail(OPENKPU_ADDRESS, "the AI RAM has no byte at offset 0x%x", address + 8 * beat);
            const size_t count = std::min<size_t>(8 - skip, size - done);
            std::memcpy(data + done, reinterpret_cast<const uint8_t*>(&axi_r_data) + skip, count);
            done += count;
            skip = 0;
        }
        address += 8 * beats;
    }
    return OPENKPU_OK;
}

int openkpu::airam_write(uint32_t offset, const uint8_t* data, size_t size) {
    uint32_t address = offset & ~7u;
    const uint32_t end = static_cast<uint32_t>((offset + size + 7) & ~size_t{7});
    uint32_t skip = offset - address;
    size_t done = 0;
    while (address < end) {
        const uint32_t beats = std::min(kMaxBurst, (end - address) / 8);
        top->s_axi_awaddr = address;
        top->s_axi_awlen = beats - 1;
        while (stalls()) cycle();
        top->s_axi_awvalid = 1;
        int result = wait([this] { return axi_aw_done; }, kHangCycles, "an AI-RAM write");
        top->s_axi_awvalid = 0;
        if (result != OPENKPU_OK) return result;
        for (uint32_t beat = 0; beat < beats; ++beat) {
            const size_t count = std::min<size_t>(8 - skip, size - done);
            uint64_t word = 0;
            std::memcpy(reinterpret_cast<uint8_t*>(&word) + skip, data + done, count);
            while (stalls()) cycle();
            top->s_axi_wdata = word;
            top->s_axi_wstrb = ((1u << count) - 1) << skip;
            top->s_axi_wlast = beat + 1 == beats;
            top->s_axi_wvalid = 1;
            result = wait([this] { return axi_w_done; }, kHangCycles, "an AI-RAM write");
            top->s_axi_wvalid = 0;
            if (result != OPENKPU_OK) return result;
            done += count;
            skip = 0;
        }
        result = wait([this] { return axi_b_done; }, kHangCycles, "an AI-RAM write");
        if (result != OPENKPU_OK) return result;
        if (axi_b_resp >= kSlverr)
            return fail(OPENKPU_ADDRESS, "the AI RAM does not have all bytes from offset 0x%x on", address);
        address += 8 * beats;
    }
    return OPENKPU_OK;
}

// A RAM with byte enables is built of slices of eight bytes (rtl/lib/kpu_ram.v), whose names Verilator makes of the
// generate block's.
#ifdef OPENKPU_CACHE_LINES
#define SLICE(n) top->rootp->kpu_core__DOT__cached__DOT__airam__DOT__data__DOT__slice__BRA__##n##__KET____DOT__mem
#else
#define SLICE(n) top->rootp->kpu_core__DOT__on_chip__DOT__airam__DOT__ram__DOT__slice__BRA__##n##__KET____DOT__mem
#endif
#define SLICES {&SLICE(0), &SLICE(1), &SLICE(2), &SLICE(3), &SLICE(4), &SLICE(5), &SLICE(6), &SLICE(7)}

#ifdef OPENKPU_CACHE_LINES

// Let what the core has written reach the cache, and what is on its way the memory.
int openkpu::settle() {
    int quiet = 0;
    for (uint64_t i = 0; i < kHangCycles && quiet < 64; ++i) {
        cycle();
        quiet = memory.idle() && !top->m_mem_awvalid && !top->m_mem_arvalid ? quiet + 1 : 0;
    }
    return quiet < 64 ? fail(OPENKPU_HANG, "the cache is never idle") : OPENKPU_OK;
}

// Changed bytes are in the cache's data RAM, by the masks in its tags (rtl/cache/cache_lookup.v), all others in the memory.
int openkpu::airam_peek(uint32_t offset, uint8_t* data, size_t size) {
    constexpr unsigned kWays = 2, kSets = OPENKPU_CACHE_LINES / kWays, kTagBits = __builtin_ctz(OPENKPU_AIRAM_ROWS / kSets);
    constexpr unsigned kState = kTagBits + 68;
    using Slice = std::remove_reference_t<decltype(SLICE(0))>;
    const Slice* const slices[] = SLICES;
    if (offset + size > memory.bytes.size())
        return fail(OPENKPU_ADDRESS, "the AI RAM has only %zu rows", memory.bytes.size() / 64);
    const int result = settle();
    if (result != OPENKPU_OK) return result;
    const auto& tags = top->rootp->kpu_core__DOT__cached__DOT__airam__DOT__lookup__DOT__tag_ram__DOT__slice__BRA__0__KET____DOT__mem;
    const auto bit = [&](unsigned set, unsigned at) { return tags[set][at / 32] >> at % 32 & 1; };
    for (size_t i = 0; i < size; ++i) {
        const size_t at = offset + i;
        const unsigned row = unsigned(at / 64), set = row % kSets;
        data[i] = memory.bytes[at];
        for (unsigned way = 0; way < kWays; ++way) {
            unsigned tag = 0;
            for (unsigned b = 0; b < kTagBits; ++b) tag |= bit(set, kState * way + b) << b;
            const bool valid = bit(set, kState * way + kTagBits), changed = bit(set, kState * way + kTagBits + 3 + at % 64);
            if (valid && tag == row / kSets && changed)
                data[i] = static_cast<uint8_t>((*slices[at / 8 % 8])[set * kWays + way] >> (at % 8 * 8));
        }
    }
    return OPENKPU_OK;
}

#else

int openkpu::airam_peek(uint32_t offset, uint8_t* data, size_t size) {
    using Slice = std::remove_reference_t<decltype(SLICE(0))>;
    const Slice* const slices[] = SLICES;
    const size_t rows = sizeof(Slice) / sizeof(uint64_t);
    if (offset + size > rows * 64) return fail(OPENKPU_ADDRESS, "the AI RAM has only %zu rows", rows);
    for (size_t i = 0; i < size; ++i) {
        const size_t at = offset + i;
        data[i] = static_cast<uint8_t>((*slices[at / 8 % 8])[at / 64] >> (at % 8 * 8));
    }
    return OPENKPU_OK;
}

#endif

int openkpu::stream(uint8_t* data, size_t size, uint64_t limit, size_t* taken, bool until_irq) {
    *taken = 0;
    want_stream = true;
    for (uint64_t i = 0; i < limit && *taken < size && !(until_irq && top->irq); ++i) {
        cycle();
        if (!stream_done) continue;
        const size_t count = std::min<size_t>(8, size - *taken);
        std::memcpy(data + *taken, &stream_data, count);
        *taken += count;
    }
    want_stream = false;
    if (*taken == size || (until_irq && top->irq)) return OPENKPU_OK;
    return fail(OPENKPU_TIMEOUT, "%zu of %zu bytes came off the output stream within %llu cycles", *taken, size,
                (unsigned long long)limit);
}

bool openkpu::idle() const { return !REGISTERS(queued) && !REGISTERS(ev_active) && !REGISTERS(out_level); }

int openkpu::trace(const char* file) {
#ifdef OPENKPU_TRACES
    if (waves) {
        waves->close();
        waves.reset();
    }
    if (!file) return OPENKPU_OK;
    // Asked here, since Verilator's writer of FST says of no file that it is not open.
    std::FILE* const writable = std::fopen(file, "wb");
    if (!writable) return fail(OPENKPU_TRACE, "the waveform %s cannot be written", file);
    std::fclose(writable);
    waves = std::make_unique<Waves>();
    top->trace(waves.get(), 99);
    waves->open(file);
    if (waves->isOpen()) return OPENKPU_OK;
    waves.reset();
    return fail(OPENKPU_TRACE, "the waveform %s cannot be written", file);
#else
    if (!file) return OPENKPU_OK;
    return fail(OPENKPU_TRACE, "this library is built without waveforms");
#endif
}

namespace {

// One of the two memories, if it has all the bytes.
bool inside(uint32_t offset, size_t size, uint32_t base, size_t bytes) {
    return offset >= base && offset - base <= bytes && size <= bytes - (offset - base);
}

bool is_register(uint32_t offset) {
    return std::find(std::begin(kOffsets), std::end(kOffsets), offset) != std::end(kOffsets);
}

int no_register(openkpu* kpu, uint32_t address) {
    return kpu->fail(OPENKPU_ADDRESS, "there is no register at bus address 0x%08x", address);
}

int bad_address(openkpu* kpu, uint32_t address, size_t size) {
    return kpu->fail(OPENKPU_ADDRESS, "%zu bytes at bus address 0x%08x are neither in the SRAM nor in the AI RAM", size,
                     address);
}

}  // namespace

extern "C" {

void openkpu_default_config(openkpu_config* config) {
    *config = openkpu_config{6u << 20, 20, 8, 0, 0, 1, 12, 24};
}

openkpu* openkpu_create(const openkpu_config* config) {
    const bool legal = config->sram_bytes && config->sram_bytes % 8 == 0 &&
                       config->sram_bytes <= OPENKPU_AIRAM_BASE - OPENKPU_SRAM_BASE && config->outstanding &&
                       config->stall_percent <= 90 && config->memory_beat_tenths >= 10 &&
                       config->memory_beat_tenths <= 10000 && config->memory_latency <= 10000;
    return legal ? new openkpu(*config) : nullptr;
}

void openkpu_destroy(openkpu* kpu) { delete kpu; }

void openkpu_reset(openkpu* kpu) { kpu->reset(); }

int openkpu_read64(openkpu* kpu, uint32_t address, uint64_t* value) {
    const uint32_t offset = (address & kAddressMask) - kRegsOffset;
    return is_register(offset) ? kpu->read_register(offset, value) : no_register(kpu, address);
}

int openkpu_write64(openkpu* kpu, uint32_t address, uint64_t value, uint64_t push_cycles) {
    const uint32_t offset = (address & kAddressMask) - kRegsOffset;
    return is_register(offset) ? kpu->write_register(offset, value, push_cycles) : no_register(kpu, address);
}

int openkpu_bus_read(openkpu* kpu, uint32_t address, void* data, size_t size) {
    if (!inside(address & kAddressMask, size, kRegsOffset, kRegsBytes)) return openkpu_read(kpu, address, data, size);
    for (size_t done = 0; done < size;) {
        const uint32_t at = address + static_cast<uint32_t>(done), skip = at % 8;
        uint64_t word;
        const int result = openkpu_read64(kpu, at - skip, &word);
        if (result != OPENKPU_OK) return result;
        const size_t count = std::min<size_t>(8 - skip, size - done);
        std::memcpy(static_cast<uint8_t*>(data) + done, reinterpret_cast<const uint8_t*>(&word) + skip, count);
        done += count;
    }
    return OPENKPU_OK;
}

int openkpu_bus_write(openkpu* kpu, uint32_t address, const void* data, size_t size, uint64_t push_cycles) {
    if (!inside(address & kAddressMask, size, kRegsOffset, kRegsBytes)) return openkpu_write(kpu, address, data, size);
    if (size % 8) return kpu->fail(OPENKPU_ADDRESS, "registers are written in whole words, not in %zu bytes", size);
    for (size_t done = 0; done < size; done += 8) {
        uint64_t word;
        std::memcpy(&word, static_cast<const uint8_t*>(data) + done, sizeof word);
        const int result = openkpu_write64(kpu, address + static_cast<uint32_t>(done), word, push_cycles);
        if (result != OPENKPU_OK) return result;
    }
    return OPENKPU_OK;
}

uint8_t* openkpu_sram(openkpu* kpu) { return kpu->sram.data(); }

int openkpu_read(openkpu* kpu, uint32_t address, void* data, size_t size) {
    const uint32_t offset = address & kAddressMask;
    if (inside(offset, size, kSramOffset, kpu->sram.size())) {
        std::copy_n(&kpu->sram[offset - kSramOffset], size, static_cast<uint8_t*>(data));
        return OPENKPU_OK;
    }
    if (inside(offset, size, kAiramOffset, kRegsOffset - kAiramOffset))
        return kpu->airam_read(offset - kAiramOffset, static_cast<uint8_t*>(data), size);
    return bad_address(kpu, address, size);
}

int openkpu_write(openkpu* kpu, uint32_t address, const void* data, size_t size) {
    const uint32_t offset = address & kAddressMask;
    if (inside(offset, size, kSramOffset, kpu->sram.size())) {
        std::copy_n(static_cast<const uint8_t*>(data), size, &kpu->sram[offset - kSramOffset]);
        return OPENKPU_OK;
    }
    if (inside(offset, size, kAiramOffset, kRegsOffset - kAiramOffset))
        return kpu->airam_write(offset - kAiramOffset, static_cast<const uint8_t*>(data), size);
    return bad_address(kpu, address, size);
}

int openkpu_peek(openkpu* kpu, uint32_t address, void* data, size_t size) {
    const uint32_t offset = address & kAddressMask;
    if (inside(offset, size, kAiramOffset, kRegsOffset - kAiramOffset))
        return kpu->airam_peek(offset - kAiramOffset, static_cast<uint8_t*>(data), size);
    return openkpu_read(kpu, address, data, size);
}

int openkpu_run(openkpu* kpu, uint64_t cycles) {
    for (uint64_t i = 0; i < cycles && !kpu->top->irq; ++i) kpu->cycle();
    if (kpu->top->irq) return OPENKPU_OK;
    return kpu->fail(OPENKPU_TIMEOUT, "no interrupt within %llu cycles", (unsigned long long)cycles);
}

void openkpu_step(openkpu* kpu, uint64_t cycles) {
    for (uint64_t i = 0; i < cycles; ++i) kpu->cycle();
}

int openkpu_irq(const openkpu* kpu) { return kpu->top->irq; }

int openkpu_stream(openkpu* kpu, void* data, size_t size, uint64_t cycles, size_t* taken) {
    return kpu->stream(static_cast<uint8_t*>(data), size, cycles, taken, false);
}

int openkpu_run_stream(openkpu* kpu, void* data, size_t size, uint64_t cycles, size_t* taken) {
    return kpu->stream(static_cast<uint8_t*>(data), size, cycles, taken, true);
}

int openkpu_idle(const openkpu* kpu) { return kpu->idle(); }

uint64_t openkpu_cycles(const openkpu* kpu) { return kpu->now.load(std::memory_order_relaxed); }

int openkpu_trace(openkpu* kpu, const char* file) { return kpu->trace(file); }

const char* openkpu_message(const openkpu* kpu) { return kpu->message.c_str(); }

}  // extern "C"
