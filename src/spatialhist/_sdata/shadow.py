"""An object that shares its elements with another one, and keeps what is added to it for itself."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from spatialhist import _keys
from spatialhist._sdata.compat import layer_names

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData


def shadow(sdata: SpatialData, table_key: str) -> SpatialData:
    """Return an object of the same images, masks, spots and values, which are not copied.

    Layers and columns that are added to its table, and what is recorded of them, are not in the other one.
    """
    import spatialdata as sd

    return sd.SpatialData(
        images=dict(sdata.images),
        labels=dict(sdata.labels),
        points=dict(sdata.points),
        shapes=dict(sdata.shapes),
        tables={table_key: _table(sdata.tables[table_key])},
        attrs=copy.deepcopy(dict(sdata.attrs)),
    )


def _table(table: AnnData) -> AnnData:
    other = shallow(table)
    # records are nested dicts that steps change in place
    other.uns[_keys.ROOT] = copy.deepcopy(other.uns.get(_keys.ROOT, {}))
    return other


def shallow(table: AnnData) -> AnnData:
    """Another table of the same arrays."""
    import anndata as ad

    mappings = {name: dict(getattr(table, name)) for name in ("uns", "obsm", "varm", "obsp", "varp")}
    layers = {name: table.layers[name] for name in layer_names(table)}
    return ad.AnnData(table.X, obs=table.obs.copy(), var=table.var.copy(), layers=layers, **mappings)
