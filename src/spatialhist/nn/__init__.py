"""Networks, losses and encoders in plain torch; needs nothing else of the package."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_augment": ["augment"],
        "_blocks": ["ResidualBlock"],
        "_check_encoder": ["check_encoder"],
        "_color_texture.encoder": ["ColorTexture"],
        "_encoders.by_name": ["get_encoder"],
        "_encoders.frozen": ["FrozenEncoder"],
        "_encoders.listing": ["encoders"],
        "_encoders.protocol": ["Encoder"],
        "_feature_head": ["FeatureHead"],
        "_fingerprint": ["encoder_fingerprint"],
        "_losses": [
            "get_loss",
            "hinge_rank_loss",
            "logistic_rank_loss",
            "mse_pearson_loss",
            "soft_spearman_loss",
        ],
        "_stacking_mlp": ["StackingMLP"],
        "_tiles": ["split_tiles"],
        "_vision_mlp": ["VisionMLPMultiTask"],
    },
)
