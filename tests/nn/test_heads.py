import pytest
import torch

from spatialhist.nn import FeatureHead, StackingMLP


def layer_names(module):
    return [type(layer).__name__ for layer in module]


def test_stacking_layers():
    layers = StackingMLP(210, 35).layers
    assert layer_names(layers) == ["Linear", "LeakyReLU", "BatchNorm1d", "Dropout"] * 2 + ["Linear"]
    shapes = [(layer.in_features, layer.out_features) for layer in layers if isinstance(layer, torch.nn.Linear)]
    assert shapes == [(210, 512), (512, 256), (256, 35)]
    assert layers[3].p == 0.2


def test_stacking_without_hidden_layers_is_linear():
    stack = StackingMLP(6, 2, hidden=())
    x = torch.randn(5, 6)
    assert torch.allclose(stack(x), x @ stack.layers[0].weight.T + stack.layers[0].bias, atol=1e-6)


def test_feature_head_has_one_branch_per_extent():
    head = FeatureHead([7, 4], 3, dim=5)
    assert head([torch.randn(2, 7), torch.randn(2, 4)]).shape == (2, 3)
    assert [layer_names(branch) for branch in head.branches] == [["Linear", "LayerNorm", "SiLU", "Dropout"]] * 2


def test_feature_head_is_set_by_the_seed():
    def predict(seed):
        torch.manual_seed(seed)
        head = FeatureHead([7, 4], 3)
        return head([torch.ones(2, 7), torch.ones(2, 4)])

    assert torch.equal(predict(3), predict(3))
    assert not torch.equal(predict(3), predict(4))


def test_batch_norm_takes_out_the_scale_of_the_features():
    head = FeatureHead([6], 2, norm="batch", dropout=0.0).train()
    x = torch.randn(20, 6)
    assert torch.allclose(head([x]), head([100 * x + 7]), atol=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FeatureHead([], 2), "n_features is empty"),
        (lambda: FeatureHead([3], 2, norm="layer"), "norm='layer'"),
        (lambda: FeatureHead([3], 2)([torch.ones(1, 3)] * 2), "2 feature matrices were given; the head has 1"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
