"""Ids of cases that were seen, in flat memory: 12 bytes a slot, so that a million cases cost 24 MB and not 130."""

from __future__ import annotations

from array import array

FIRST_SLOTS = 1 << 12
_KEY_BITS = (1 << 64) - 1
_VALUE_BITS = (1 << 32) - 1


class Marks:
    """A map from one hash to another that only grows: open addressing over two arrays, at most three quarters full."""

    def __init__(self) -> None:
        self._count = 0
        self._keys = array("Q", bytes(8 * FIRST_SLOTS))
        self._values = array("I", bytes(4 * FIRST_SLOTS))

    def __len__(self) -> int:
        return self._count

    def first(self, key: int, value: int) -> bool | None:
        """Return True where the key was not there, None where it was with this value, False where with another one."""
        key, value = (key & _KEY_BITS) or 1, value & _VALUE_BITS  # 0 is a free slot
        slot = self._slot(key)
        if self._keys[slot]:
            return None if self._values[slot] == value else False
        self._keys[slot], self._values[slot] = key, value
        self._count += 1
        if self._count * 4 > len(self._keys) * 3:
            self._grow()
        return True

    def _slot(self, key: int) -> int:
        keys, last = self._keys, len(self._keys) - 1
        slot = key & last
        while (there := keys[slot]) and there != key:
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        keys, values = self._keys, self._values
        self._keys = array("Q", bytes(16 * len(keys)))
        self._values = array("I", bytes(8 * len(values)))
        for key, value in zip(keys, values, strict=True):
            if key:
                slot = self._slot(key)
                self._keys[slot], self._values[slot] = key, value
