"""What releases of the libraries below do differently, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import zarr
    from anndata import AnnData


def layer_names(table: AnnData) -> list[str]:
    """Names of the layers; anndata from 0.13 on lists ``X`` among them, as None."""
    return [name for name in table.layers if name is not None]


def write_part(group: zarr.Group, path: str, value: Any) -> None:
    """Write a value under a path of several names, which anndata from 0.13 on does not take apart itself."""
    from anndata.io import write_elem

    parent, _, name = path.rpartition("/")
    write_elem(group.require_group(parent) if parent else group, name, value)
