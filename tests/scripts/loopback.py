# SPDX-License-Identifier: Apache-2.0
# Sockets: this computer can be reached, others cannot.
# prints: True b'line\\n' b'rest'
# prints: refused example.com is another computer
# prints: import socket too
import _thread
import socket

import network
import usocket

nic = network.ESP32_SPI(cs=25, rst=8, rdy=9, mosi=28, miso=26, sclk=27)
nic.connect("name", "password")
server = usocket.socket()
server.bind(("0.0.0.0", 0))
server.listen(1)


def serve():
    peer, address = server.accept()
    peer.write("line\nrest")
    peer.close()


_thread.start_new_thread(serve, ())
client = usocket.socket(usocket.AF_INET, usocket.SOCK_STREAM)
client.connect(usocket.getaddrinfo("localhost", server.getsockname()[1])[0][-1])
print(nic.isconnected(), client.readline(), client.read())
try:
    usocket.getaddrinfo("example.com", 80)
except OSError as error:
    print("refused", error.args[1])
try:
    socket.socket().connect(("192.0.2.1", 80))
except OSError:
    print("import socket too")
