# SPDX-License-Identifier: Apache-2.0
"""Sound and video: ``audio``, ``video``, ``speech_recognizer``, ``Maix.I2S``, ``Maix.FFT``, ``Maix.MIC_ARRAY``.

There is no microphone (it hears silence) and no loudspeaker (what is played is heard by nobody and is over at once).
"""

from __future__ import annotations

import wave

import numpy as np

from openkpu.api.board import paths
from openkpu.api.board.standin import accepting, note

_SILENCE = "the microphone hears silence, playing is over at once"


class Audio:
    """Samples, or a sound file; playing one ends at once."""

    def __init__(self, array=None, path=None, points=0, is_create=False, samplerate=16000, **other):
        note("audio.Audio", _SILENCE)
        self._bytes = bytes(array or b"") or bytes(4 * int(points))
        self._path = path

    def to_bytes(self) -> bytes:
        """The samples."""
        return self._bytes

    def play_process(self, i2s=None) -> list[int]:
        """[channels, samples per second, bits per sample, ...] of the file; its defaults where it is no WAV file."""
        try:
            with wave.open(str(paths.device_path(self._path)), "rb") as file:
                return [file.getnchannels(), file.getframerate(), 8 * file.getsampwidth(), file.getnframes()]
        except (OSError, TypeError, wave.Error, EOFError):
            return [2, 44100, 16, 0]

    def play(self) -> int:
        """0: the end."""
        return 0

    def record_process(self, *args, **keywords) -> None:
        """Accepted."""

    def record(self, *args, **keywords) -> int:
        """0."""
        return 0

    def volume(self, level=None) -> int:
        """Accepted."""
        return 0

    def finish(self) -> None:
        """Accepted."""

    def __len__(self) -> int:
        return len(self._bytes)


class I2S:
    """Records silence; plays into the void."""

    DEVICE_0, DEVICE_1, DEVICE_2 = 0, 1, 2
    CHANNEL_0, CHANNEL_1, CHANNEL_2, CHANNEL_3 = 0, 1, 2, 3
    TRANSMITTER, RECEIVER = 0, 1
    IGNORE_WORD_LENGTH, RESOLUTION_12_BIT, RESOLUTION_16_BIT, RESOLUTION_20_BIT = 0, 1, 2, 3
    RESOLUTION_24_BIT, RESOLUTION_32_BIT = 4, 5
    SCLK_CYCLES_16, SCLK_CYCLES_24, SCLK_CYCLES_32 = 0, 1, 2
    STANDARD_MODE, RIGHT_JUSTIFYING_MODE, LEFT_JUSTIFYING_MODE = 1, 2, 4

    def __init__(self, device=0, *args, **keywords):
        note("Maix.I2S", _SILENCE)

    def init(self, *args, **keywords) -> None:
        """Accepted."""

    def channel_config(self, *args, **keywords) -> None:
        """Accepted."""

    def set_sample_rate(self, rate) -> None:
        """Accepted."""

    def record(self, points, *args, **keywords) -> Audio:
        """``points`` samples of silence."""
        return Audio(points=points)

    def play(self, sound=None) -> None:
        """Accepted."""

    def wait_record(self) -> None:
        """Accepted."""

    def deinit(self) -> None:
        """Accepted."""


class FFT:
    """The FFT unit, by numpy."""

    @staticmethod
    def run(data, points=64, shift=0, direction=0) -> list[tuple[int, int]]:
        """(real, imaginary) of ``points`` bins of signed 16-bit samples, divided by ``points``."""
        samples = np.frombuffer(bytes(data), "<i2")[:points].astype(np.float64)
        samples = np.pad(samples, (0, max(0, int(points) - len(samples))))
        bins = np.fft.fft(samples) / int(points)
        return [(int(v.real), int(v.imag)) for v in bins]

    @staticmethod
    def freq(points, sample_rate) -> list[float]:
        """Frequency of each bin, Hz."""
        return [i * sample_rate / points for i in range(int(points))]

    @staticmethod
    def amplitude(bins) -> list[int]:
        """Absolute values."""
        return [int(np.hypot(real, imaginary)) for real, imaginary in bins]


class MIC_ARRAY:
    """The microphone array: silence from everywhere."""

    @staticmethod
    def init(*args, **keywords) -> None:
        """Accepted."""
        note("Maix.MIC_ARRAY", _SILENCE)

    @staticmethod
    def deinit() -> None:
        """Accepted."""

    @staticmethod
    def get_map():
        """16x16 gray image without a sound."""
        from openkpu.api.imaging.image import Image

        return Image.from_pixels(np.zeros((16, 16), np.uint8))

    @staticmethod
    def get_dir(picture=None) -> list[int]:
        """Twelve directions, all 0."""
        return [0] * 12

    @staticmethod
    def set_led(*args) -> None:
        """Accepted."""


class Video:
    """A video player or recorder; playing is over at once, recording keeps nothing."""

    def __init__(self, path=None, record=False, **settings):
        note("video", "playing is over at once, recorded frames are counted and not kept")
        self._frames = 0

    def play(self) -> int:
        """0: the end."""
        return 0

    def record(self, img=None) -> int:
        """Count a frame."""
        self._frames += 1
        return self._frames

    def record_finish(self) -> None:
        """Accepted."""

    def capture(self, img=None) -> int:
        """0."""
        return 0

    def volume(self, level=None) -> None:
        """Accepted."""


open = Video
isolated_word = accepting("speech_recognizer.isolated_word", "it never recognises a word")
asr = accepting("speech_recognizer.asr", "it never recognises a word")
