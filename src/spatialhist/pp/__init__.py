"""Preprocessing: one file per step."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "_filter_spots": ["filter_spots"],
        "_fit_stain_reference": ["fit_stain_reference"],
        "_flag_artifacts": ["flag_artifacts"],
        "_log_normalize": ["log_normalize"],
        "_mask_background": ["mask_background"],
        "_normalize_stain": ["normalize_stain"],
        "_obsm_to_table": ["obsm_to_table"],
        "_pearson_residuals": ["pearson_residuals"],
        "_pool_spots": ["pool_spots"],
        "_rank_expression": ["rank_expression"],
        "_realign": ["realign"],
        "_regress_depth": ["regress_depth"],
        "_save": ["save"],
        "_select_genes": ["select_genes"],
        "_smooth_expression": ["smooth_expression"],
        "_spot_distances": ["spot_distances"],
        "_stain.reference": ["StainReference"],
    },
)
