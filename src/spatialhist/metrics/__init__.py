"""Scores, noise ceilings and upper references: arrays in, numbers out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "_aggregate": [
            "MIN_GROUPS",
            "Summary",
            "Wins",
            "group_interval",
            "paired_wins",
            "summarize",
            "within_slide_pearson",
        ],
        "_ceiling": ["noise_ceiling", "reliability", "split_half"],
        "_correlation": ["is_constant", "pearson", "pooled_pearson", "spearman", "spot_spearman"],
        "_depth": ["pearson_beyond_depth"],
        "_detection": ["auc_detected"],
        "_error": ["nrmse", "r2", "rmse", "variance_ratio"],
        "_gene_sets": ["gene_set_scores"],
        "_information": ["jensen_shannon", "mutual_information"],
        "_moran": ["moran_agreement", "morans_i"],
        "_oracles": ["depth_oracle", "neighbor_oracle"],
        "_ssim": ["ssim"],
    },
)
