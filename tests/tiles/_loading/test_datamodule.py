from __future__ import annotations

import lightning as L
import numpy as np
import pytest
import torch

from spatialhist._sdata.build import build_slide, concat_slides
from spatialhist.tiles import TileDataModule, TileDataset, TileSpec

SPEC = TileSpec(("px", 10), 10, grid=1)


def one_slide(name: str, patient: str | None, *, measured: bool = True):
    rng = np.random.default_rng(len(name))
    xy = rng.uniform([0, 0], [70, 50], (9, 2))
    image = rng.integers(0, 256, (3, 50, 70), dtype=np.uint8)
    return build_slide(
        image, xy, rng.poisson(3, (9, 2)), slide=name, genes=["a", "b"], patient=patient, measured=measured
    )


@pytest.fixture(scope="module")
def sdata():
    return concat_slides(
        [one_slide("S1", "A"), one_slide("S2", "A"), one_slide("S3", "B"), one_slide("S4", "B", measured=False)]
    )


def regions(loader) -> set[str]:
    return {region for batch in loader for region in batch["region"]}


@pytest.mark.parametrize(
    ("groups", "held_out", "train", "validate"),
    [("slide", ["S2"], {"S1", "S3"}, {"S2"}), ("patient", ["A"], {"S3"}, {"S1", "S2"})],
)
def test_no_group_is_in_both_parts(sdata, groups, held_out, train, validate):
    data = TileDataModule(sdata, SPEC, layer="X", held_out=held_out, groups=groups, batch_size=4)
    assert regions(data.train_dataloader()) == train
    assert regions(data.val_dataloader()) == validate


def test_lightning_predicts_what_was_held_out_in_the_order_of_the_table(sdata):
    class MeanRed(L.LightningModule):
        def predict_step(self, batch, index):
            return batch["tile"][:, 0].float().mean(dim=(1, 2))

    data = TileDataModule(sdata, SPEC, layer="X", held_out=["S2"], batch_size=4)
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    predicted = torch.cat(trainer.predict(MeanRed(), datamodule=data))
    held_out = TileDataset(sdata, SPEC, slides=["S2"], layer="X")
    expected = [held_out[i]["tile"][0].float().mean() for i in range(len(held_out))]
    torch.testing.assert_close(predicted, torch.stack(expected))


def test_every_epoch_has_all_samples_in_another_order(sdata):
    data = TileDataModule(sdata, SPEC, layer="X", held_out=["S2"], batch_size=4)
    loader = data.train_dataloader()
    first, second = ([(r, s) for b in loader for r, s in zip(b["region"], b["spot"], strict=True)] for _ in range(2))
    assert sorted(first) == sorted(second)
    assert first != second
    assert len(first) == 18


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"held_out": ["S9"]}, r"held_out=\['S9'\] is no slide; there are \['S1', 'S2', 'S3', 'S4'\]"),
        ({"held_out": []}, "something to validate on"),
        ({"held_out": ["A", "B"], "groups": "patient"}, "something to train on"),
        ({"held_out": ["S1"], "groups": "fold"}, "groups='fold' is not one of"),
    ],
)
def test_refuses_a_split_that_is_none(sdata, options, message):
    with pytest.raises(ValueError, match=message):
        TileDataModule(sdata, SPEC, layer="X", **options)


def test_patients_must_be_known():
    sdata = concat_slides([one_slide("S1", "A"), one_slide("S2", None)])
    with pytest.raises(ValueError, match="name no patient"):
        TileDataModule(sdata, SPEC, layer="X", held_out=["A"], groups="patient")


def test_a_patient_in_two_spellings_is_held_out_whole():
    sdata = concat_slides([one_slide(s, p) for s, p in {"S1": "A-1", "S2": "a 1", "S3": "B"}.items()])
    with pytest.warns(UserWarning, match="'a 1' is taken as 'A-1'"):
        data = TileDataModule(sdata, SPEC, layer="X", held_out=["A_1"], groups="patient")
    assert len(data.validate) == 2 * len(data.train) == 18
