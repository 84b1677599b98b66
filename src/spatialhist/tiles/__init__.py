"""Tiles straight from the image store, in chunk order."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_features.cache": ["FeatureCache"],
        "_loading.datamodule": ["TileDataModule"],
        "_loading.dataset": ["TileDataset"],
        "_loading.loader": ["loader"],
        "_loading.memory": ["MemoryTileDataset", "to_memory"],
        "_reading.reader": ["TileReader"],
        "_loading.sampler": ["ChunkSampler"],
        "_reading.source": ["PixelSource"],
        "_spec": ["TileSpec"],
    },
)
