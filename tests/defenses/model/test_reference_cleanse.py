import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from toadstone.checkpoints import Stages
from toadstone.core import Data
from toadstone.defenses import ReferenceCleanse
from toadstone.defenses.model import reference_cleanse
from toadstone.defenses.model.reference_cleanse import effect, halves
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.models.foreign import adapt

ALONE = ReferenceCleanse(references=0, rectangle_steps=120, shift_steps=80)


def toy(k, strength=30, side=8, seed=0):
    """k classes, each with a pixel of its own that is bright; the last pixel is the trigger of class 7."""
    draw = np.random.default_rng(seed)
    y = np.arange(16 * k) % k
    x = draw.integers(0, 60, (len(y), side, side))
    x.reshape(len(y), -1)[np.arange(len(y)), y] += 150
    x[:, -1, -1] = 0
    weight = np.zeros((k, side * side), np.float32)
    weight[np.arange(k), np.arange(k)] = draw.uniform(8, 14, k)
    weight[7, -1] = strength
    net = nn.Sequential(nn.Flatten(), nn.Linear(side * side, k))
    with torch.no_grad():
        net[1].weight.copy_(torch.from_numpy(weight))
        net[1].bias.zero_()
    clean = Data(x.astype(np.uint8), y, tuple(map(str, range(k))))
    return adapt(net, clean), clean


def tail(t):
    """P(Student's t with 5 degrees of freedom >= t), in closed form."""
    angle = math.atan(t / math.sqrt(5))
    return 0.5 - (angle + math.sin(angle) * (math.cos(angle) + 2 / 3 * math.cos(angle) ** 3)) / math.pi


def median(values):
    ordered, n = sorted(values), len(values)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def test_the_class_of_a_strong_pixel_is_accused_by_the_sizes_as_by_hand():
    model, clean = toy(10, 100)
    found = ALONE.inspect(model, clean, seed=0)
    own = [
        (math.log(r) / 0.3 + math.log(s) / 0.15) / 2
        for r, s in zip(found.sizes["rectangle"], found.sizes["shift"], strict=True)
    ]
    left = [s - median(own) for s in own]
    spread = 1.4826 * median([abs(v - median(left)) for v in left])
    slow = [-v / math.sqrt((spread**2 + 1.5**2) / 2) for v in left]
    np.testing.assert_allclose(found.values, slow, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.tail, [min(1.0, 10 * tail(v)) for v in slow], rtol=1e-6)
    assert found.flagged() == [7]
    assert found.references == 0
    assert np.isnan(found.sizes["natural_shift"]).all()


def test_an_effect_is_counted_image_by_image_on_rows_that_nothing_was_fitted_to():
    model, clean = toy(10, 100)
    found = ALONE.inspect(model, clean, seed=0)
    fitted, rest = halves(clean, ALONE.rows, seed=0)
    rows = {row.tobytes() for row in fitted.x}
    assert not any(row.tobytes() in rows for row in rest.x)
    weight = model.net.net[1].weight.detach().numpy()
    trigger, turned, others = found.found[7], 0, 0
    for image, label in zip(rest.x, rest.y, strict=True):
        if label != 7:
            mask = trigger.mask[0]
            changed = (1 - mask) * image + mask * trigger.pattern[0, ..., 0] + trigger.shift[0, ..., 0]
            changed = np.rint(np.clip(changed, 0, 255)) / 255
            others, turned = others + 1, turned + int((weight @ changed.ravel()).argmax() == 7)
    assert (found.effects[7].n, found.effects[7].value) == (others, turned / others)


def test_a_trigger_that_fails_on_other_rows_accuses_nobody(monkeypatch):
    model, clean = toy(10, 100)
    monkeypatch.setattr(reference_cleanse, "EFFECT", 1.01)
    found = ALONE.inspect(model, clean, seed=0)
    assert found.tail[7] < 0.05
    assert (found.pvalues == 1).all()
    assert not found.flagged()


def test_of_many_classes_some_are_looked_at():
    model, clean = toy(30, 300)
    found = replace(ALONE, many=20, close=4).inspect(model, clean, seed=0)
    assert len(found.looked) == 8
    other = np.setdiff1d(np.arange(30), found.looked)
    assert np.isnan(found.values[other]).all()
    assert (found.pvalues[other] == 1).all()
    assert all(found.found[c] is None and found.effects[c] is None for c in other)
    assert found.flagged() == [7]


def test_a_reference_that_learnt_nothing_is_left_out_and_stages_are_kept(tmp_path):
    model, clean = toy(10, 100)
    method, stages = replace(ALONE, references=1, training_steps=1), Stages(tmp_path, "")
    once = method.inspect(model, replace(clean, y=np.roll(clean.y, 1)), seed=0, stages=stages)
    assert once.references in (0, 1)
    names = {path.name for path in tmp_path.glob("*.npz")}
    assert {"model-rectangle-0.npz", "model-shift-0.npz", "reference-0.npz"} <= names
    again = method.inspect(model, replace(clean, y=np.roll(clean.y, 1)), seed=0, stages=Stages(tmp_path, ""))
    np.testing.assert_array_equal(once.values, again.values)


def test_no_rows_of_other_classes_no_effect():
    model, clean = toy(10)
    trigger = ALONE.inspect(model, clean, seed=0).found[7]
    assert effect(model, trigger, clean.take(clean.y == 7), 7).n == 0


def test_what_it_is_not_for_and_bad_fields():
    model, clean = toy(10)
    with pytest.raises(NotApplicableError, match="100 or more"):
        ALONE.inspect(model, clean.take(np.arange(50)), seed=0)
    with pytest.raises(ToadstoneError, match="classes"):
        ALONE.inspect(model, Data(clean.x, clean.y % 4, tuple("abcd")), seed=0)
    for fields in ({"rows": 1}, {"references": -1}, {"many": 5}, {"shift_steps": 1}, {"rectangle_steps": 19}):
        with pytest.raises(ToadstoneError, match="must be at least"):
            ReferenceCleanse(**fields)
