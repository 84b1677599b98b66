"""Readers and writers of file formats: from files into the data contract, and predictions out of it."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "_arrays": ["from_arrays"],
        "_challenge": ["read_challenge"],
        "_concat": ["concat"],
        "_from_anndata": ["from_anndata"],
        "_hest": ["read_hest"],
        "_read": ["read"],
        "_read_geojson": ["read_geojson"],
        "_save": ["save"],
        "_st": ["read_st"],
        "_submission": ["write_submission"],
        "_visium": ["read_visium"],
        "_visium_hd": ["read_visium_hd"],
        "_write_geojson": ["write_geojson"],
        "_wsi": ["read_wsi"],
        "_xenium": ["read_xenium"],
    },
)
