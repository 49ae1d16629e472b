"""Neural Cleanse against reference nets, a method of this library. After Wang, Yao, Shan, Li, Viswanath, Zheng & Zhao,
IEEE S&P 2019, doi:10.1109/SP.2019.00031.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray

from toadstone.checkpoints import Stages
from toadstone.core import Data, Evidence, Model, Rate
from toadstone.defenses.model.sizes import RECTANGLE, SHIFT, excess, index, pvalues, sizes
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.fields import Count, Whole
from toadstone.models.torch_model import TorchModel, differentiable
from toadstone.registry import register
from toadstone.rng import child
from toadstone.training.references import STEPS, fresh, reference
from toadstone.whitebox.reverse import Rectangle, Reversed, Shift, reverse

FEWEST = 100  # clean rows
EFFECT = 0.5  # share of held-out rows that a trigger must turn before its class is accused
KINDS = ("rectangle", "shift")
_GROUP = 10  # classes a stage
_MEASURED = 500  # held-out rows that an effect is measured on
_QUICK: dict[str, Rectangle | Shift] = {"rectangle": Rectangle(steps=100), "shift": Shift(steps=80)}


@dataclass(frozen=True, eq=False)
class ReferenceEvidence(Evidence):
    """Evidence for each class with what it rests on; ``found`` holds its trigger, the further below what is natural.

    ``looked`` are the classes that were looked at closely. For the others ``values`` is NaN, ``pvalues`` is 1, the rest
    NaN or None.

    - ``tail``: p-values of the sizes alone; ``pvalues`` is 1 too where the trigger fails on rows it was not fitted to.
    - ``sizes``: of each kind of trigger, in pixels or as a norm, and "natural_" of each: the references' mean.
    - ``effects``: the share of such rows that each trigger turns into its class.
    - ``references``: how many nets learnt enough to be compared with.
    """

    looked: Int[ndarray, " t"]
    tail: Float[ndarray, " k"]
    sizes: Mapping[str, Float[ndarray, " k"]]
    effects: tuple[Rate | None, ...]
    references: int


@dataclass(frozen=True, eq=False)
class Search:
    """What a search is given: rows that triggers are fitted to, and ``rest``, which train the references."""

    method: ReferenceCleanse
    model: TorchModel
    fitted: Data
    rest: Data
    stages: Stages
    seed: int


def halves(clean: Data, rows: int, *, seed: int) -> tuple[Data, Data]:
    """(at most ``rows`` rows, and a third, that triggers are fitted to; the others)."""
    order = np.random.default_rng(child(seed, "halves")).permutation(len(clean))
    cut = min(rows, len(clean) // 3)
    return clean.take(np.sort(order[:cut])), clean.take(np.sort(order[cut:]))


def effect(model: TorchModel, trigger: Reversed, rows: Data, c: int) -> Rate:
    """The share of the rows of other classes that the trigger makes class ``c``."""
    others = np.asarray(rows.x[rows.y != c])
    if not len(others):
        return Rate.of(0, 0)
    turned = model.logits(trigger.stamp(0, others)).argmax(1) == c
    return Rate.of(int(turned.sum()), len(others))


def obstacle(model: Model, clean: Data) -> tuple[str, str] | None:
    """Why no trigger can be reversed, as (a word, a sentence); None where one can."""
    if not isinstance(model, TorchModel):
        why = f"a {type(model).__name__} has no gradients to reverse a trigger with; give the torch module."
        return "no-gradients", why
    if getattr(model.encode, "modality", None) != "image" or clean.x.dtype != np.uint8:
        why = "triggers are reversed for models of uint8 images alone; for texts and tables there is no such check."
        return "not-images", why
    if len(clean.classes) < 3:
        return "few-classes", "a class is compared with the others: 3 or more are needed."
    if len(clean) < FEWEST or (clean.counts() > 0).sum() < 2:
        why = f"there are {len(clean)} clean rows: {FEWEST} or more, of two classes at least, are needed."
        return "few-rows", why
    return _closed(model, clean)


def _closed(model: TorchModel, clean: Data) -> tuple[str, str] | None:
    """Why the net cannot be looked into, in the same words."""
    if any(isinstance(part, torch.jit.ScriptModule) for part in model.net.modules()):
        why = "the net is TorchScript, which no fresh net can be made of: give the torch.nn.Module that it came from."
        return "torchscript", why
    if not differentiable(model, clean.x):
        why = (
            "the net's answers have no gradients with regard to the image: let its forward return the tensor of logits "
            "as torch made it, without detach(), no_grad(), numpy, argmax or rounding on the way."
        )
        return "no-gradients", why
    return None


@register("inspector", needs=("gradients", "image model", "images", "two classes", "trusted rows"))
@dataclass(frozen=True)
class ReferenceCleanse:
    """Accuses a class that small triggers reach, and that they do not reach as well in clean nets of the same design.

    Works on triggers that are small and the same in every image: patches, faint patterns over the whole image. Fails
    on triggers that move or warp the image or differ from image to image, on patches of much more than a tenth of it,
    on backdoors of one source class, and on those that many of the classes share. It trains nets, so it takes minutes.

    For each class the smallest rectangle and the faintest change of the whole image that turn 95% of some clean images
    into it are searched for, in the model and in nets trained on the other clean rows. With s a class's size of a
    trigger, on a logarithmic scale and in units of its natural spread, a class's index is

        -(mean over both kinds of s - min(0, the references' mean s, centred), less the median) / spread

    and its p-value the tail of Student's t with 5 degrees of freedom, times the number of classes: it is as good as
    clean nets are alike. A class whose trigger turns fewer than half of other rows has the p-value 1.

    - ``rows``: clean rows that triggers are fitted to, at most a third of them.
    - ``references``: nets to compare with, >= 0; without any, the classes are compared with each other alone.
    - ``training_steps``: of each reference, about.
    - ``rectangle_steps``, ``shift_steps``: gradient steps of the searches.
    - ``many``: classes above which a quick pass over all of them chooses those that are looked at closely:
    - ``close``: the most suspicious ones, and as many drawn from the rest.

    Raises ToadstoneError for fields out of range and for rows of other classes; NotApplicableError for a model without
    gradients, rows that are not uint8 images, fewer than 3 classes or 100 rows, and rows of one class.
    """

    rows: Annotated[int, Ge(10)] = 300
    references: Whole = 2
    training_steps: Count = STEPS
    rectangle_steps: Annotated[int, Ge(Rectangle.window)] = 300  # a decision at least
    shift_steps: Annotated[int, Ge(Shift.window)] = 200
    many: Annotated[int, Ge(3)] = 20
    close: Count = 8

    def __post_init__(self) -> None:
        if self.many < 2 * self.close:
            raise ToadstoneError(f"many must be at least twice close, {2 * self.close}, not {self.many}.")

    def inspect(self, model: Model, clean: Data, *, seed: int, stages: Stages | None = None) -> ReferenceEvidence:
        """Evidence for each class; ``stages`` keeps each part as soon as it is there, for a run that may be cut."""
        if len(clean.classes) != len(model.classes):
            raise ToadstoneError(f"clean has {len(clean.classes)} classes but the model has {len(model.classes)}.")
        if (reason := obstacle(model, clean)) is not None:
            raise NotApplicableError(reason[1][:1].upper() + reason[1][1:])
        assert isinstance(model, TorchModel)
        return _evidence(Search(self, model, *halves(clean, self.rows, seed=seed), stages or Stages(None, ""), seed))

    def again(
        self, model: TorchModel, clean: Data, c: int, trigger: Reversed, *, seed: int
    ) -> dict[str, Float64[ndarray, ""]]:
        """The trigger reversed once more, from the other rows: how alike its place is (cosine), and its size."""
        kind, rows = "rectangle" if trigger.mask.any() else "shift", halves(clean, self.rows, seed=seed)[1]
        second = reverse(model, rows, np.array([c]), self.searches()[kind], seed=child(seed, kind, "again"))
        name = {"rectangle": "mask", "shift": "shift"}[kind]
        a, b = (np.abs(getattr(each, name)).ravel() for each in (trigger, second))
        alike = float(a @ b / max(1e-12, float(np.linalg.norm(a) * np.linalg.norm(b))))
        return {"again_alike": np.array(alike), "again_size": np.array(float(second.size[0]))}

    def searches(self) -> dict[str, Rectangle | Shift]:
        """How each kind of trigger is searched for, closely."""
        return {"rectangle": Rectangle(steps=self.rectangle_steps), "shift": Shift(steps=self.shift_steps)}


def _evidence(search: Search) -> ReferenceEvidence:
    k = len(search.rest.classes)
    looked, usual = _choice(search)
    triggers = {kind: _triggers(search, search.model, kind, looked, "model") for kind in KINDS}
    own = np.stack([triggers[kind].size for kind in KINDS])
    references = [_reference_sizes(search, looked, i) for i in range(search.method.references)]
    natural = np.array([r for r in references if r is not None]).reshape(-1, *own.shape)
    natural = _of_known(natural, search.rest.counts()[looked] > 0)
    values = index(sizes(*own), sizes(natural[:, 0], natural[:, 1]), usual)
    smaller = [excess(np.log(own[i]), np.log(natural[:, i]), usual) / unit for i, unit in enumerate((RECTANGLE, SHIFT))]
    kinds = np.where(smaller[0] <= smaller[1], *KINDS).tolist()
    smallest: dict[int, Reversed] = {c: triggers[kinds[t]].one(t) for t, c in enumerate(looked.tolist())}
    measured = search.rest.take(np.arange(min(_MEASURED, len(search.rest))))
    effects = {c: effect(search.model, trigger, measured, c) for c, trigger in smallest.items()}

    def each(values: ndarray) -> Float[ndarray, " k"]:
        out = np.full(k, np.nan)
        out[looked] = values
        return out

    tail = each(pvalues(values, k))
    works = [c in effects and effects[c].value >= EFFECT for c in range(k)]
    means = natural.mean(0) if len(natural) else np.full(own.shape, np.nan)
    names = (*KINDS, *(f"natural_{kind}" for kind in KINDS))
    return ReferenceEvidence(
        each(values),
        np.where(works, tail, 1.0),
        tuple(smallest.get(c) for c in range(k)),
        looked,
        tail,
        {name: each(sizes) for name, sizes in zip(names, (*own, *means), strict=True)},
        tuple(effects.get(c) for c in range(k)),
        len(natural),
    )


def _of_known(natural: Float[ndarray, "r 2 t"], known: Bool[ndarray, " t"]) -> Float[ndarray, "r 2 t"]:
    """The references' sizes, in classes that they had no rows of as in the middle one of the others: a net cannot be
    led to a class that it has never seen, which says nothing of the model. No references where they know none."""
    if not known.any():
        return natural[:0]
    return np.where(known, natural, np.median(natural[..., known], -1, keepdims=True))


def _choice(search: Search) -> tuple[Int[ndarray, " t"], Bool[ndarray, " t"]]:
    """(classes that are looked at closely, which of them were not chosen for being suspicious)."""
    every, close = np.arange(len(search.rest.classes)), search.method.close
    if len(every) <= search.method.many:
        return every, np.ones(len(every), bool)
    quick = {kind: _triggers(search, search.model, kind, every, "quick").size for kind in KINDS}
    order = np.argsort(sizes(quick["rectangle"], quick["shift"]), kind="stable")
    sample = np.random.default_rng(child(search.seed, "classes")).choice(order[close:], close, replace=False)
    looked = np.sort(np.concatenate([order[:close], sample]))
    return looked, np.isin(looked, sample)


def _triggers(search: Search, model: TorchModel, kind: str, targets: ndarray, stage: str) -> Reversed:
    how, parts = (_QUICK if stage == "quick" else search.method.searches())[kind], []
    for start in range(0, len(targets), _GROUP):
        group = targets[start : start + _GROUP]

        def work(group: ndarray = group) -> dict[str, ndarray]:
            return vars(reverse(model, search.fitted, group, how, seed=child(search.seed, kind)))

        parts.append(search.stages.arrays(f"{stage}-{kind}-{start}", work))
    return Reversed(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _reference_sizes(search: Search, looked: ndarray, i: int) -> Float[ndarray, "2 t"] | None:
    """The sizes in a fresh net; None where it learnt too little to be compared with."""
    model, seed = search.model, child(search.seed, "reference", str(i))

    def work() -> dict[str, ndarray]:
        net = reference(model, search.rest, search.method.training_steps, seed=seed).net
        return {name: values.detach().cpu().numpy() for name, values in net.state_dict().items()}

    try:
        weights = search.stages.arrays(f"reference-{i}", work)
    except ToadstoneError:  # diverged
        return None
    net = fresh(model.net, 0)
    net.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
    other = replace(model, net=net.eval(), design=None)
    needed = (1 / len(search.rest.classes) + accuracy(model, search.fitted).value) / 2
    if accuracy(other, search.fitted).value < needed:
        return None
    return np.stack([_triggers(search, other, kind, looked, f"reference-{i}").size for kind in KINDS])
