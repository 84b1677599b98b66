from __future__ import annotations

import h5py
import numpy as np
import pytest
from tests.io.conftest import write_space_ranger

import spatialhist as sh


def retype(path, kinds):
    with h5py.File(path, "r+") as file:
        del file["matrix/features/feature_type"]
        file["matrix/features/feature_type"] = np.array(kinds, dtype="S")


def test_features_that_are_no_genes_are_told(tmp_path):
    outs = write_space_ranger(tmp_path / "outs", header=True, genes=("A", "CD8", "B", "CD4"))
    counts = outs / "filtered_feature_bc_matrix.h5"
    retype(counts, ["Gene Expression", "Antibody Capture", "Gene Expression", "Antibody Capture"])
    message = r"filtered_feature_bc_matrix.h5 holds features that are no genes.*: 2 of type 'Antibody Capture'.*gex_only=False"
    with pytest.warns(UserWarning, match=message):
        table = sh.io.read_visium(outs)["table"]
    assert table.var_names.tolist() == ["A", "B"]
    assert table.to_df().iloc[1].tolist() == [4, 6]


def test_genes_of_one_symbol_are_numbered_by_their_ids(tmp_path):
    outs = write_space_ranger(tmp_path / "outs", header=True, genes=("A", "B", "A"))
    with h5py.File(outs / "filtered_feature_bc_matrix.h5", "r+") as file:
        file["matrix/features/id"][:] = np.array([b"ENSG9", b"ENSG5", b"ENSG1"])
    table = sh.io.read_visium(outs)["table"]
    assert dict(zip(table.var_names, table.var["gene_ids"], strict=True)) == {
        "A": "ENSG1",
        "B": "ENSG5",
        "A-1": "ENSG9",
    }
    assert table.to_df().iloc[1].to_dict() == {"A-1": 3, "B": 4, "A": 5}


def test_a_file_that_is_no_matrix_is_named(tmp_path):
    outs = write_space_ranger(tmp_path / "outs", header=True)
    with h5py.File(outs / "filtered_feature_bc_matrix.h5", "r+") as file:
        del file["matrix/features/name"]
    with pytest.raises(ValueError, match="filtered_feature_bc_matrix.h5"):
        sh.io.read_visium(outs)
