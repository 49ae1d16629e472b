"""One real training step, watched: whether the loader's batch reaches the model, once, and its labels the loss."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from toadstone.audit.step.explain import Match, explain
from toadstone.audit.step.labels import Account, judge
from toadstone.audit.step.restore import put_back
from toadstone.audit.step.watch import Forward, Target, Watch, tensors
from toadstone.errors import ToadstoneError
from toadstone.findings import Audit, Finding, Level

CHECKED = (
    "The tensors that entered the model with gradients, through the module, a part, a copy or its bare weights.",
    "The targets that its outputs were compared with, against the loader's labels row by row.",
    "The batch after the step, against a copy from before.",
)
UNCHECKED = (
    "Data that were poisoned before the loader read them.",
    "What the model's own forward does with its input.",
    "An attack that sleeps at this step: run the check again late in training, on the trained weights.",
    "Code that notices that it is watched, runs in another process, or uses the model without gradients.",
    "How much weight each part of the loss has.",
)
_LABELS = ("labels", "label", "targets", "target", "y")


def audit_step(
    step: Callable[..., Any],
    model: nn.Module,
    batch: Any,
    *,
    at: Sequence[int] = (0,),
    labels: int | str | None = None,
) -> Audit:
    """Run ``step(model, x, y)``, your own training step, once on real data and say what it did with the batch.

    ``batch`` is a tuple ``(x, y)``, given as ``step(model, x, y)``; or a mapping or tensor, given as
    ``step(model, batch)``; or a loader of these. Of a loader the steps with the numbers ``at`` are watched, and
    those between are run as they are: ``at=(0, 500)`` looks early and late, when the step also updates the
    weights. ``labels`` names the labels' place or key; None takes the last of a tuple, or a usual key.

    Everything is put back afterwards: weights, buffers, gradients, modes, random generators, and each optimizer,
    schedule or other object with a state that the step holds. Not thread-safe: no other model may run meanwhile.

    Works for attacks that change the batch or add a batch of their own in the step: in-place stamps, changed
    labels, blind backdoors (arXiv:2005.03823). Mixup, cutmix, label smoothing, normalisation and accumulation are
    recognised and are notes. Fails, with a warning, on random crops or erasing inside the step, which it cannot
    tell from a trigger: move them into the loader. What it cannot see is in ``unchecked``.

    >>> net = nn.Linear(3, 2)
    >>> honest = lambda model, x, y: nn.functional.cross_entropy(model(x), y)
    >>> audit_step(honest, net, (torch.rand(8, 3), torch.arange(8) % 2)).verdict
    'clean'

    Raises ToadstoneError when there is no batch, no tensor in it, or ``labels`` names nothing; what ``step`` raises is
    passed on.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise ToadstoneError("model is TorchScript, into which nothing can look: give the module it was made from.")
    wanted = sorted(set(at))
    if not wanted or wanted[0] < 0:
        raise ToadstoneError(f"at must name steps from 0, not {tuple(at)}.")
    findings: list[Finding] = []
    facts: dict[str, Any] = {"steps": wanted, "forwards": []}
    with put_back(step, model):
        for number, one in zip(range(wanted[-1] + 1), _batches(batch), strict=False):
            given, before = _copied(one), dict(tensors(one))
            place = _place(one, before, labels)
            watch = Watch(model)
            if number not in wanted:
                step(model, *_arguments(given))
                continue
            with torch.enable_grad(), watch.watching():
                step(model, *_arguments(given))
            before = {name: t.detach().clone() for name, t in before.items()}
            findings += _Step(f"step {number}", watch, before, dict(tensors(given)), place).findings()
            facts["forwards"].append(len(watch.forwards))
    return Audit("step", _name(step), _headline(findings), tuple(findings), CHECKED, UNCHECKED, facts)


def _batches(batch: Any) -> Iterator[Any]:
    """The batch again and again, or the loader's, round after round."""
    if isinstance(batch, Tensor | tuple | list | Mapping):
        return itertools.repeat(batch)
    if not isinstance(batch, Iterable):
        raise ToadstoneError(f"batch must hold tensors or be a loader of batches, not {type(batch).__name__}.")
    return _rounds(batch)


def _rounds(loader: Iterable[Any]) -> Iterator[Any]:
    while True:
        one = None
        for one in loader:
            yield one
        if one is None:
            raise ToadstoneError("the loader is empty or spent: give one that can be read again.")


def _copied(thing: Any) -> Any:
    """A batch whose tensors are new."""
    if isinstance(thing, Tensor):
        return thing.detach().clone()
    if isinstance(thing, Mapping):
        return {key: _copied(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return type(thing)(map(_copied, thing)) if not hasattr(thing, "_fields") else type(thing)(*map(_copied, thing))
    return thing


def _arguments(batch: Any) -> Sequence[Any]:
    return batch if isinstance(batch, list | tuple) else (batch,)


def _place(batch: Any, named: Mapping[str, Tensor], labels: int | str | None) -> str | None:
    """The name of the labels among the batch's tensors."""
    if not any(t.ndim for t in named.values()):
        raise ToadstoneError("the batch holds no tensor with rows: give (x, y) as torch tensors, or a loader of them.")
    if labels is not None:
        if str(labels) not in named:
            raise ToadstoneError(
                f"labels is {labels!r}, which is not a tensor of the batch: use one of {', '.join(named)}."
            )
        return str(labels)
    if isinstance(batch, Mapping):
        return next((name for name in _LABELS if name in named), None)
    last = str(len(batch) - 1) if isinstance(batch, list | tuple) and len(batch) > 1 else None
    return last if last in named else None


class _Step:
    """What was seen in one step, as findings."""

    def __init__(
        self, where: str, watch: Watch, before: dict[str, Tensor], after: dict[str, Tensor], label: str | None
    ) -> None:
        self.where, self.watch, self.before, self.after, self.label = where, watch, before, after, label
        self.inputs = {name: t for name, t in before.items() if name != label and t.ndim}
        self.matches = [self._entered(forward) for forward in watch.forwards]

    def findings(self) -> Iterator[Finding]:
        """Everything that a reader should know of the step."""
        if not self.matches:
            yield self._tell("no-forward", "warning", "The model was not used with gradients, so nothing was seen.")
        for number, (forward, (name, match)) in enumerate(zip(self.watch.forwards, self.matches, strict=True)):
            if match.level:
                yield self._input(number, forward, name, match)
        yield from self._repeats()
        yield from self._targets()
        yield from self._edits()

    def _entered(self, forward: Forward) -> tuple[str, Match]:
        """The batch's tensor that entered, and how: a certain change first, then the simplest account."""
        matches = [
            (name, explain(t, base))
            for name, base in self.inputs.items()
            for t in forward.tensors.values()
            if t.ndim and (t.is_floating_point() or not base.is_floating_point() or t.shape == base.shape)
        ]
        if not matches:
            return "", Match(
                "other", "could not be explained: no tensor of the batch entered", "warning", torch.empty(0)
            )
        order = ("same", "rows", "affine", "mix", "patchwork", "appended", "stamp", "other")
        best: dict[str, tuple[str, Match]] = {}
        for name, match in matches:
            if name not in best or order.index(match.how) < order.index(best[name][1].how):
                best[name] = (name, match)
        wrong = [(name, match) for name, match in best.values() if match.level == "error"]
        return wrong[0] if wrong else min(best.values(), key=lambda pair: order.index(pair[1].how))

    def _input(self, number: int, forward: Forward, name: str, match: Match) -> Finding:
        rules = {"stamp": "stamped-input", "appended": "appended-rows", "other": "unexplained-input"}
        what = f"Input {name}" if name else "What entered"
        text = f"{what} of forward {number + 1} ({forward.where}) {match.text}."
        if match.level == "error":
            text = (
                text[:-1] + f": {_some(match.rows, 'row')}{', ' + _some(match.cells, 'cell') if match.cells else ''}."
            )
        detail = {"rows": list(match.rows[:1000]), "cells": list(match.cells[:1000]), "forward": number + 1}
        return self._tell(rules.get(match.how, f"{match.how}-input"), match.level or "note", text, **detail)

    def _repeats(self) -> Iterator[Finding]:
        for part in self.watch.again:
            text = f"{part} ran more than once on the values of one forward."
            yield self._tell("two-forwards", "warning", text)
        if len(self.matches) < 2:
            return
        shares = [(name, match.index) for name, match in self.matches if match.how in ("same", "rows", "affine")]
        taken = [(name, row) for name, index in shares for row in index.tolist()]
        count = len(self.matches)
        if len(shares) == count and len(taken) == len(set(taken)):
            text = f"The model ran forward {count} times, each on another part of the batch."
            yield self._tell("parts", "note", text)
        else:
            text = f"The model ran forward {count} times with gradients in one step."
            yield self._tell("two-forwards", "warning", text, forwards=count)

    def _targets(self) -> Iterator[Finding]:
        if self.label is None:
            yield self._tell("no-labels", "note", "The batch has no labels that could be followed.")
            return
        y = self.before[self.label]
        judged = [(target, self._judged(target, y)) for target in self.watch.targets]
        known = [
            (t, account)
            for t, account in judged
            if t.certain or account.how in ("own", "partner") or self._hard(t.tensor)
        ]
        owned = {forward for t, account in known if account.how == "own" for forward in t.forwards}
        inside = self._labels_inside(y)
        yield from inside
        for target, account in known:
            if account.how == "changed" or (account.how == "order" and not target.forwards <= owned):
                text = f"The target of {target.where} {account.text}: {_some(account.rows, 'row')}."
                yield self._tell("changed-labels", "error", text, rows=list(account.rows[:1000]))
            elif account.how == "order":
                yield self._tell("second-target", "note", f"A second target of {target.where} {account.text} (mixup).")
            elif account.how == "partner" and not target.forwards <= owned:
                yield self._tell("changed-labels", "error", f"{target.where} was given the labels of other rows.")
            elif account.how == "unclear":
                text = f"The target of {target.where} {account.text}, so it was not compared."
                yield self._tell("unexplained-target", "warning", text)
            elif account.text:
                yield self._tell("soft-labels", "note", f"The target of {target.where} {account.text}.")
        if not known and not inside and not self._label_entered(y) and self.matches:
            text = "No loss was seen that compares the outputs with the labels, so the labels could not be followed."
            yield self._tell("labels-not-followed", "warning", text)

    def _judged(self, target: Target, y: Tensor) -> Account:
        match = self.matches[min(target.forwards)][1]
        return judge(target, y, list(self.inputs.values()), match)

    @staticmethod
    def _hard(t: Tensor) -> bool:
        """Whether a product's factor is labels: rows that sum to one, with one class above all the others."""
        above = t.double() - t.double().amin(-1, keepdim=True)
        one = (above > 1e-6).sum(-1) == 1
        return t.ndim == 2 and t.shape[1] > 1 and bool(one.all() and ((t.double().sum(1) - 1).abs() < 1e-3).all())

    def _labels_inside(self, y: Tensor) -> list[Finding]:
        """Labels that were given to the model itself (a loss inside forward)."""
        findings = []
        for forward in self.watch.forwards:
            for name, t in forward.tensors.items():
                if name.rsplit(".", 1)[-1] in _LABELS and t.shape == y.shape and not torch.equal(t.cpu(), y.cpu()):
                    rows = torch.where((t.cpu() != y.cpu()).reshape(len(y), -1).any(1))[0].tolist()
                    text = f"The labels given to {forward.where} differ from the loader's: {_some(tuple(rows), 'row')}."
                    findings.append(self._tell("changed-labels", "error", text, rows=rows[:1000]))
        return findings

    def _label_entered(self, y: Tensor) -> bool:
        entered = [t for forward in self.watch.forwards for t in forward.tensors.values()]
        return any(t.shape == y.shape and torch.equal(t.cpu(), y.cpu()) for t in entered)

    def _edits(self) -> Iterator[Finding]:
        """The batch itself, changed by the step."""
        for name, was in self.before.items():
            now = self.after.get(name)
            if now is None or not now.ndim or (now.shape == was.shape and torch.equal(now.cpu(), was.cpu())):
                continue
            if name == self.label:
                changed = (now.cpu() != was.cpu()).reshape(len(was), -1).any(1) if now.shape == was.shape else None
                rows = tuple(torch.where(changed)[0].tolist()) if changed is not None else ()
                text = f"The step wrote over the loader's labels: {_some(rows, 'row')}."
                yield self._tell("edited-labels", "error", text, rows=list(rows[:1000]))
            else:
                match = explain(now, was)
                text = f"The step wrote over input {name} of the batch in place; what is there now {match.text}."
                yield self._tell("edited-batch", match.level or "note", text, rows=list(match.rows[:1000]))

    def _tell(self, rule: str, level: Level, text: str, **detail: Any) -> Finding:
        return Finding(rule, self.where, text, level, None, detail)


def _some(numbers: tuple[int, ...], word: str) -> str:
    """ "3 rows (0, 4, 7)"."""
    listed = ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
    return f"{len(numbers)} {word}{'s' * (len(numbers) != 1)} ({listed})" if numbers else f"no single {word}"


def _name(step: Any) -> str:
    return str(getattr(step, "__qualname__", type(step).__name__))


def _headline(findings: list[Finding]) -> str:
    levels = {finding.level for finding in findings}
    if "error" in levels:
        return "The step does not train on the loader's batch as it is."
    if "warning" in levels:
        return "Something in the step could not be explained."
    return "The loader's batch and its labels reach the model and the loss."
