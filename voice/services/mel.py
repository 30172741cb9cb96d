"""Log-mel features as Whisper wants them: 80 Slaney mel bands, 25 ms Hann windows every 10 ms.

Pure numpy. Only the frames that hold sound are computed; the rest of the window is silence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

#: Samples per second of everything that is recognised.
SAMPLE_RATE_HZ = 16_000
#: Mel bands of Whisper tiny and base.
BANDS = 80
_WINDOW, _HOP = 400, 160
#: The Slaney mel scale is linear below 1 kHz (200/3 Hz per mel) and logarithmic above (27 steps per 6.4x).
_LINEAR_HZ, _KNEE_MEL, _KNEE_HZ, _STEP = 200 / 3, 15.0, 1000.0, float(np.log(6.4) / 27)
_TOP_MEL = 45.245640471924965  # 8 kHz
#: log10 of the smallest power, which silence has everywhere.
_FLOOR = -10.0


def _filter_bank() -> Float32:
    mels = np.linspace(0, _TOP_MEL, BANDS + 2)
    edges = np.where(mels >= _KNEE_MEL, _KNEE_HZ * np.exp(_STEP * (mels - _KNEE_MEL)), _LINEAR_HZ * mels)
    ramps = edges[:, None] - np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE_HZ)[None]
    widths = np.diff(edges)
    triangles = np.maximum(0, np.minimum(-ramps[:-2] / widths[:-1, None], ramps[2:] / widths[1:, None]))
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


_BANK = _filter_bank()
_HANN = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)


def log_mel(sound: Float32, window_s: float) -> Float32:
    """Return the features of a window that begins with the sound.

    Args:
        sound: mono, 16 kHz, -1 to 1, shape (samples,); what is longer than the window is left out.
        window_s: length of the window in seconds.

    Returns:
        shape (80, window_s * 100), float32, scaled as Whisper was trained.
    """
    frames = int(window_s * SAMPLE_RATE_HZ / _HOP)
    padded = np.pad(sound[: frames * _HOP], (_WINDOW // 2, _WINDOW - 40))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:frames]
    power = np.abs(np.fft.rfft(windows * _HANN).astype(np.complex64)) ** 2
    mel = np.full((BANDS, frames), _FLOOR, np.float32)
    mel[:, : len(power)] = np.log10(np.maximum(_BANK @ power.T, 10**_FLOOR))
    return ((np.maximum(mel, mel.max() - 8) + 4) / 4).astype(np.float32)


def played(sound: Float32, tempo: float) -> Float32:
    """Return the sound as it is when it is played at another speed, by linear interpolation; its pitch changes, too.

    Args:
        sound: shape (samples,); one of less than two samples stays as it is.
        tempo: above 0; 1 as it is, 2 twice as fast.

    Returns:
        shape (about samples / tempo,), float32.
    """
    if len(sound) < 2:
        return sound
    places = np.arange(0, len(sound) - 1, tempo)
    return np.interp(places, np.arange(len(sound)), sound).astype(np.float32)


def pcm_to_sound(pcm: bytes) -> Float32:
    """Return mono PCM16 bytes as float32 in -1 to 1; a half sample at the end is left out."""
    return np.frombuffer(pcm[: len(pcm) & ~1], np.int16).astype(np.float32) / np.float32(32768)
