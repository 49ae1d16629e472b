import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from corrupted_digits import mislabelled
from toadstone.data import load, split
from toadstone.defenses.data.self_influence import SelfInfluence, self_influence
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc
from toadstone.models.nets import MLP
from toadstone.training import Adam, Train


def test_the_closed_form_is_autograds_gradient_of_the_last_layer():
    digits = load("digits").take(np.arange(40))
    model = Train(MLP((16,)), epochs=2).fit(digits, seed=0)
    found = self_influence(model.features(digits.x), model.probs(digits.x), digits.y)
    head = [part for part in model.net.modules() if isinstance(part, torch.nn.Linear)][-1]
    for i in range(len(digits)):
        loss = cross_entropy(model.net(model.encode(digits.x[i : i + 1])), torch.tensor(digits.y[i : i + 1]))
        slow = sum(g.square().sum() for g in torch.autograd.grad(loss, [head.weight, head.bias]))
        assert found[i] == pytest.approx(float(slow), rel=1e-3, abs=1e-9)


def test_wrong_labels_stand_out():
    for seed in range(3):
        parts = split(load("digits"), test=100, clean=100, seed=seed)
        noisy, wrong = mislabelled(parts.train, 0.1, seed)
        model = Train(MLP((64,)), epochs=4, optimizer=Adam(3e-3), batch_size=32).fit(noisy, seed=seed)
        assert auroc(judge(SelfInfluence(), model, noisy, seed=0).values, wrong) > 0.95
