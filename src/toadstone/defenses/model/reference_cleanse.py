"""The searches of one audit, stage by stage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from toadstone.checkpoints import Stages
from toadstone.core import Data, Rate
from toadstone.defenses.inference.strip import superimpose
from toadstone.defenses.model.sizes import RECTANGLE, SHIFT, excess, index, sizes
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.models.torch_model import TorchModel
from toadstone.rng import child
from toadstone.training.references import fresh, reference
from toadstone.whitebox.reverse import Rectangle, Reversed, Shift, reverse

ROWS = 300  # clean rows that triggers are fitted to; the others train the references and measure the effect
REFERENCES = 2
MANY = 20  # classes above which a quick pass over all of them chooses those that are looked at closely
CLOSE = 8  # the most suspicious ones, and as many drawn from the rest
_GROUP = 10  # classes a stage
_MEASURED = 500  # held-out rows that an effect is measured on
_QUICK: dict[str, Rectangle | Shift] = {"rectangle": Rectangle(steps=100), "shift": Shift(steps=80)}
_WHOLE: dict[str, Rectangle | Shift] = {"rectangle": Rectangle(), "shift": Shift()}


def halves(clean: Data, seed: int) -> tuple[ndarray, ndarray]:
    """(rows that triggers are fitted to, the others)."""
    order = np.random.default_rng(child(seed, "halves")).permutation(len(clean))
    cut = min(ROWS, len(clean) // 3)
    return np.sort(order[:cut]), np.sort(order[cut:])


class Search:
    """All searches of one audit, stage by stage."""

    def __init__(self, model: TorchModel, clean: Data, stages: Stages, seed: int) -> None:
        self.model, self.stages, self.seed, self.k = model, stages, seed, len(clean.classes)
        fitted, rest = halves(clean, seed)
        self.clean, self.fitted, self.rest = clean, clean.take(fitted), clean.take(rest)
        self.looked, self.usual = self._choose()
        self.found = {kind: self._reverse(model, kind, self.looked, "model") for kind in _WHOLE}
        self.references = [r for r in (self._reference(i) for i in range(REFERENCES)) if r is not None]

    def _choose(self) -> tuple[ndarray, Bool[ndarray, " t"]]:
        """(classes that are looked at closely, which of them were not chosen for being suspicious)."""
        if self.k <= MANY:
            return np.arange(self.k), np.ones(self.k, bool)
        every = np.arange(self.k)
        quick = {kind: self._reverse(self.model, kind, every, "quick").size for kind in _QUICK}
        order = np.argsort(sizes(quick["rectangle"], quick["shift"]), kind="stable")
        drawn = np.random.default_rng(child(self.seed, "classes")).choice(order[CLOSE:], CLOSE, replace=False)
        looked = np.sort(np.concatenate([order[:CLOSE], drawn]))
        return looked, np.isin(looked, drawn)

    def _reverse(self, model: TorchModel, kind: str, targets: ndarray, stage: str) -> Reversed:
        method, parts = (_QUICK if stage == "quick" else _WHOLE)[kind], []
        for start in range(0, len(targets), _GROUP):
            group = targets[start : start + _GROUP]

            def make(group: ndarray = group) -> dict[str, ndarray]:
                return vars(reverse(model, self.fitted, group, method, seed=child(self.seed, kind)))

            parts.append(self.stages.arrays(f"{stage}-{kind}-{start}", make))
        return Reversed(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def _reference(self, i: int) -> Float[ndarray, "2 t"] | None:
        """The sizes in a fresh net; None where it learnt too little to be compared with."""

        def make() -> dict[str, ndarray]:
            net = reference(self.model, self.rest, seed=child(self.seed, "reference", str(i))).net
            return {name: values.detach().cpu().numpy() for name, values in net.state_dict().items()}

        try:
            weights = self.stages.arrays(f"reference-{i}", make)
        except ToadstoneError:  # diverged
            return None
        net = fresh(self.model.net, 0)
        net.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
        other = replace(self.model, net=net.eval(), design=None)
        needed = (1 / self.k + accuracy(self.model, self.fitted).value) / 2
        if accuracy(other, self.fitted).value < needed:
            return None
        both = [self._reverse(other, kind, self.looked, f"reference-{i}").size for kind in _WHOLE]
        return np.stack(both)

    def index(self) -> Float[ndarray, " t"]:
        """How many spreads each class's triggers are smaller than natural."""
        own, refs = self._sizes()
        return index(sizes(*own), sizes(refs[:, 0], refs[:, 1]), self.usual)

    def triggers(self) -> dict[int, Reversed]:
        """By class, the kind of trigger that is further below what is natural."""
        own, refs = self._sizes()
        rectangle = excess(np.log(own[0]), np.log(refs[:, 0]), self.usual) / RECTANGLE
        shift = excess(np.log(own[1]), np.log(refs[:, 1]), self.usual) / SHIFT
        kinds = np.where(rectangle <= shift, "rectangle", "shift").tolist()
        return {c: self.found[kinds[t]].one(t) for t, c in enumerate(self.looked.tolist())}

    def effect(self, trigger: Reversed, c: int) -> Rate:
        """On rows that it was not fitted to."""
        return effect(self.model, trigger, self.rest.take(np.arange(min(_MEASURED, len(self.rest)))), c)

    def evidence(self) -> dict[str, ndarray]:
        """The sizes of both kinds, of this model and the mean of the references, one a class."""
        own, refs = self._sizes()
        natural = refs.mean(0) if len(refs) else np.full(own.shape, np.nan)
        names = ("rectangle", "shift", "natural_rectangle", "natural_shift")
        return {name: self.every(values) for name, values in zip(names, (*own, *natural), strict=True)}

    def every(self, values: ndarray) -> ndarray:
        """One value a class, NaN where it was not looked at."""
        out = np.full(self.k, np.nan)
        out[self.looked] = values
        return out

    def _sizes(self) -> tuple[Float[ndarray, "2 t"], Float[ndarray, "r 2 t"]]:
        own = np.stack([self.found[kind].size for kind in _WHOLE])
        return own, np.array(self.references).reshape(-1, *own.shape)


def again(search: Search, c: int, trigger: Reversed) -> dict[str, float]:
    """The trigger reversed once more, from other rows: how alike its place is (cosine), and its size."""
    kind = "rectangle" if trigger.mask.any() else "shift"
    seed = child(search.seed, kind, "again")
    second = search.stages.arrays(
        f"again-{kind}-{c}", lambda: vars(reverse(search.model, search.rest, np.array([c]), _WHOLE[kind], seed=seed))
    )
    name = "mask" if kind == "rectangle" else "shift"
    one, two = np.abs(getattr(trigger, name)).ravel(), np.abs(second[name]).ravel()
    alike = float(one @ two / max(1e-12, float(np.linalg.norm(one) * np.linalg.norm(two))))
    return {"again_alike": alike, "again_size": float(second["size"][0])}


def effect(model: TorchModel, trigger: Reversed, rows: Data, c: int) -> Rate:
    """The share of the rows of other classes that the trigger makes class ``c``."""
    others = rows.take(rows.y != c)
    if not len(others):
        return Rate.of(0, 0)
    went = model.logits(trigger.stamp(0, np.asarray(others.x))).argmax(1) == c
    return Rate.of(int(went.sum()), len(others))


def attraction(model: TorchModel, rows: Data, seed: int) -> Float[ndarray, " k"]:
    """The share of sums of two clean images that each class gets, as STRIP adds them."""
    order = np.random.default_rng(child(seed, "blends")).permutation(len(rows))[:80]
    x = np.asarray(rows.x[np.sort(order)])
    both = superimpose(x[::2], x[1::2])
    won = model.logits(both.reshape(-1, *x.shape[1:])).argmax(1)
    return np.bincount(won, minlength=len(rows.classes)) / len(won)
