# SPDX-License-Identifier: Apache-2.0
# Playing and recording sound: over at once, silent.
# prints: played None|played 0
# prints: \[2, 44100
# prints: 256 0
# says: audio.Audio is a stand-in
import audio
import video
from Maix import FFT, I2S

out = I2S(I2S.DEVICE_0)
out.channel_config(out.CHANNEL_1, I2S.TRANSMITTER, resolution=I2S.RESOLUTION_16_BIT, align_mode=I2S.STANDARD_MODE)
player = audio.Audio(path="/sd/none.wav")
info = player.play_process(out)
out.set_sample_rate(info[1])
while True:
    ret = player.play()
    if ret is None or ret == 0:
        break
player.finish()
print("played", ret)
print(info)
bins = FFT.run(out.record(256).to_bytes(), 256)
print(len(bins), max(FFT.amplitude(bins)))
film = video.open("/sd/none.avi")
while film.play():
    pass
