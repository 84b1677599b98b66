from __future__ import annotations

import pytest
from visium_hd_folders import write_bins, write_cells

from spatialhist.io._space_ranger.hd_layout import hd_mark, output_folder, read_layout


def test_bins_and_cells_are_found_by_size(tmp_path):
    bins = {bin_um: write_bins(tmp_path, bin_um) for bin_um in (16, 2, 24)}
    cells = write_cells(tmp_path)
    layout = read_layout(tmp_path)
    assert layout.folders == {**bins, "cells": cells}
    assert layout.files(24).counts == bins[24] / "filtered_feature_bc_matrix.h5"
    assert layout.files("cells").positions == cells / "cell_segmentations.geojson"
    assert output_folder(bins[2]) == output_folder(cells) == output_folder(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("sizes", "cells", "usual"),
    [((16, 8, 2), True, 8), ((2, 16), True, 16), ((2,), True, 2), ((), True, "cells"), ((24,), False, 24)],
)
def test_bins_of_8_um_are_usual(tmp_path, sizes, cells, usual):
    for bin_um in sizes:
        write_bins(tmp_path, bin_um)
    if cells:
        write_cells(tmp_path)
    assert read_layout(tmp_path).usual() == usual


def test_a_folder_of_visium_is_no_visium_hd(tmp_path):
    (tmp_path / "spatial").mkdir()
    for name in ("spatial/tissue_positions.csv", "filtered_feature_bc_matrix.h5"):
        (tmp_path / name).touch()
    assert hd_mark(tmp_path) is None
    (tmp_path / "brain_feature_slice.h5").touch()
    assert hd_mark(tmp_path) == "feature_slice.h5"


def test_bins_in_a_renamed_folder_need_their_scale_factors(tmp_path):
    bins = write_bins(tmp_path).rename(tmp_path / "bins")
    assert read_layout(bins).folders == {8: bins}
    (bins / "spatial/scalefactors_json.json").unlink()
    with pytest.raises(FileNotFoundError, match="missing .*bins/spatial/scalefactors_json.json"):
        read_layout(bins)
