// SPDX-License-Identifier: Apache-2.0
// A LiteX SoC (openkpu/boards/simulation.py) whose UARTBone is a TCP port: board [PORT]; prints the port it listens on.
//
// The clock runs while the host talks and for some time after, so that an idle board costs nothing and a layer that
// somebody waits for gets its cycles. One host; the program ends when it hangs up.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "Vkpu.h"
#include "verilated.h"

namespace {

constexpr unsigned kSlice = 32;            // clock cycles between two looks at the socket
constexpr uint64_t kQuiet = 200 * 1000;    // cycles without a byte after which the clock stops

[[noreturn]] void die(const char* what) {
    perror(what);
    _exit(1);
}

int accept_one() {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (listener < 0 || bind(listener, reinterpret_cast<sockaddr*>(&address), size) || listen(listener, 1) ||
        getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size))
        die("board: no TCP port");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    const int link = accept(listener, nullptr, nullptr);
    if (link < 0) die("board: accept");
    close(listener);
    const int yes = 1;
    setsockopt(link, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return link;
}

void send_all(int link, std::string& bytes) {
    for (size_t done = 0; done < bytes.size();) {
        const ssize_t n = send(link, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(0);
        done += size_t(n);
    }
    bytes.clear();
}

}  // namespace

int main() {
    VerilatedContext context;
    auto top = std::make_unique<Vkpu>(&context);
    auto edge = [&] {
        top->sys_clk = 0;
        top->eval();
        top->sys_clk = 1;
        top->eval();
    };
    top->serial_source_ready = 0;
    top->serial_sink_valid = 0;
    top->sys_rst = 1;
    for (int i = 0; i < 16; ++i) edge();
    top->sys_rst = 0;

    const int link = accept_one();
    std::string in, out;
    size_t taken = 0;
    for (uint64_t quiet = 0;;) {
        if (taken == in.size()) {
            pollfd ready{link, POLLIN, 0};
            if (poll(&ready, 1, quiet < kQuiet ? 0 : -1) > 0) {
                char buffer[65536];
                const ssize_t n = recv(link, buffer, sizeof buffer, 0);
                if (n <= 0) break;
                in.assign(buffer, size_t(n));
                taken = 0;
            }
        }
        for (unsigned i = 0; i < kSlice; ++i, ++quiet) {
            top->serial_sink_valid = taken < in.size();
            top->serial_sink_data = taken < in.size() ? uint8_t(in[taken]) : 0;
            top->serial_source_ready = 1;
            top->sys_clk = 0;
            top->eval();
            const bool consumed = top->serial_sink_valid && top->serial_sink_ready;
            if (top->serial_source_valid) out.push_back(char(top->serial_source_data));
            if (consumed) ++taken;
            if (consumed || top->serial_source_valid) quiet = 0;
            top->sys_clk = 1;
            top->eval();
        }
        if (!out.empty()) send_all(link, out);
    }
    top->final();
}
