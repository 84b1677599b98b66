from __future__ import annotations


def rank_and_world() -> tuple[int, int]:
    """Return the number of this process among those that train together, and how many they are; (0, 1) if alone."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
