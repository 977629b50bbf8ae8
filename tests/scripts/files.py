# SPDX-License-Identifier: Apache-2.0
# A script sees the device's file system and no other.
# prints: \['flash', 'sd'\] /sd
# prints: \('commands.txt', 32768, 0, 11\)
# prints: helper 42 extra 43
# prints: text\r\n
# prints: True False False
# prints: gone
# prints: 4096 True
import sys

import uio
import uos

print(os.listdir("/"), os.getcwd())
print([entry for entry in uos.ilistdir("/sd") if entry[0] == "commands.txt"][0])
uos.mkdir("/sd/lib")
with open("/sd/lib/extra.py", "wb") as f:
    f.write("value = 43\n")
sys.path.append("/sd/lib")
import extra
import helper

print("helper", helper.value, "extra", extra.value)
with uio.open("/flash/note.txt", "w") as f:
    f.write("text\r\n")
    f.write(b"more")
print(open("/flash/note.txt").readline(), end="")
print(os.stat("/flash/note.txt")[6] == 10 and "note.txt" in os.listdir("/flash"),
      any(os.path.exists(p) for p in ("/etc", "/usr", "../..")), "etc" in os.listdir("/"))
try:
    open("/etc/hostname")
except OSError:
    print("gone")
uos.mount(None, "/sd")
uos.sync()
print(uos.statvfs("/flash")[0], bytearray("text\0") == b"text\0")
