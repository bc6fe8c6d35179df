"""The peaks of a recording: what its waveform is drawn from. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Peaks(NamedTuple):
    """For each channel, of which there are one or two, numbers of 0 to 255; the loudest of all is 255."""

    channels: tuple[bytes, ...]

    @property
    def loudest(self) -> bytes:
        """Those of the louder channel."""
        return bytes(map(max, *self.channels)) if len(self.channels) > 1 else self.channels[0]

    def to_bytes(self) -> bytes:
        """Return how many channels there are, and the numbers of each."""
        return bytes([len(self.channels)]) + b"".join(self.channels)

    @classmethod
    def from_bytes(cls, data: bytes) -> Peaks:
        """Return what `to_bytes` wrote."""
        count, numbers = data[0], data[1:]
        size = len(numbers) // count
        return cls(tuple(numbers[index * size : (index + 1) * size] for index in range(count)))
