"""Tiles straight from the image store, in chunk order."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_cache": ["FeatureCache"],
        "_datamodule": ["TileDataModule"],
        "_dataset": ["TileDataset"],
        "_loader": ["loader"],
        "_memory": ["MemoryTileDataset", "to_memory"],
        "_reader": ["TileReader"],
        "_sampler": ["ChunkSampler"],
        "_source": ["PixelSource"],
        "_spec": ["TileSpec"],
    },
)
