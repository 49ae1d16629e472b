"""Camouflage. Xiao, Chen, Shen, Chen & Li, USENIX Security 2019."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from numpy import ndarray

from toadstone.errors import ToadstoneError
from toadstone.fields import NonNegative, check
from toadstone.overlay import Rows
from toadstone.progress import track
from toadstone.registry import register
from toadstone.triggers.base import Trigger, check_images
from toadstone.triggers.scalers import Scale, Scaler, coefficients

_STEPS, _SLACK = 500, 0.05  # of the ascent; grey levels by which a bound may be missed in the end
_PRICE = np.float32(16 * 255)  # of a broken bound, a grey level; the condition of L L^T times R R^T is below 16
_AT_ONCE = 64  # pictures in memory; no result depends on it


def hide(
    source: UInt8[ndarray, "n h w *c"], target: UInt8[ndarray, "n a b *c"], scale: Scale, eps: float = 1.0
) -> UInt8[ndarray, "n h w *c"]:
    """The pictures nearest to ``source`` that ``scale``, any callable that resizes pictures, turns into ``target``.

    Resized, they differ from ``target`` by at most ``eps`` grey levels, apart from rounding; where no picture does,
    by as little more as can be: a kernel that reads every pixel cannot make just any target.

    Raises ToadstoneError for a negative ``eps``, when ``scale`` does not make ``target``'s shape of ``source``, and
    when it is not linear and separable or makes pictures larger.
    """
    check("eps", eps, NonNegative)
    shape = (len(source), *scale(source[:1]).shape[1:])
    if target.shape != shape:
        raise ToadstoneError(f"target has shape {target.shape} but scale makes {shape} of source: make them agree.")
    left, right = coefficients(scale, source.shape[1:3])
    out = np.empty_like(source)
    for start in track(range(0, len(source), _AT_ONCE), "hiding pictures"):
        part = slice(start, start + _AT_ONCE)
        planes = nearest(_planes(source[part]), _planes(target[part]), left, right, eps)
        channels = planes.reshape(-1, *source.shape[3:], *source.shape[1:3])
        out[part] = np.rint(channels if source.ndim == 3 else np.moveaxis(channels, 1, 3))
    return out


def _planes(x: UInt8[ndarray, "n h w *c"]) -> Float32[ndarray, "m h w"]:
    return (x if x.ndim == 3 else np.moveaxis(x, 3, 1)).reshape(-1, *x.shape[1:3]).astype(np.float32)


def nearest(
    source: Float32[ndarray, "n h w"],
    target: Float32[ndarray, "n a b"],
    left: Float64[ndarray, "a h"],
    right: Float64[ndarray, "w b"],
    eps: float,
) -> Float32[ndarray, "n h w"]:
    """argmin ||A - S||^2 over pictures A with |L A R - T| <= eps and 0 <= A <= 255; a bound that cannot be kept is
    broken, at a high price a grey level.

    Accelerated proximal gradient on the dual, with restarts (Beck & Teboulle 2009; O'Donoghue & Candes 2015): with
    multipliers Y of the bounds, at most the price, the best picture is A(Y) = clip(S - L^T Y R^T). A picture is put
    away once it is done, so that none depends on its neighbours.
    """
    step = np.float32((np.linalg.norm(left, 2) * np.linalg.norm(right, 2)) ** -2)
    left, right = left.astype(np.float32), right.astype(np.float32)
    out, todo = np.empty_like(source), np.arange(len(source))
    y = old = np.zeros_like(target)
    pace = np.ones((len(source), 1, 1), np.float32)
    for _ in range(_STEPS):
        best = np.clip(source - left.T @ y @ right.T, 0, 255)
        raw = y / step + (left @ best @ right - target)
        new = step * np.sign(raw) * np.clip(np.abs(raw) - np.float32(eps), 0, _PRICE)
        out[todo] = best
        on = np.abs(new - y).max((1, 2)) > _SLACK * step
        onward = ((y - new) * (new - old)).sum((1, 2), keepdims=True) <= 0
        quicker = np.where(onward, (1 + np.sqrt(1 + 4 * pace**2)) / 2, np.float32(1))
        y = (new + onward * ((pace - 1) / quicker) * (new - old))[on]
        old, pace, source, target, todo = new[on], quicker[on], source[on], target[on], todo[on]
        if not len(todo):
            break
    return out


@register("trigger")
@dataclass(frozen=True)
class Camouflage:
    """Another trigger hidden in full-size pictures: they look clean, and carry it once they are resized.

    Works where the resize skips pixels (nearest, and bilinear or bicubic that do not antialias) at ratios of 4 and
    more: what the resize reads is rewritten, the rest stays. (A whole other picture shows through up to ratios of
    about 16.) Fails with kernels that read every pixel, where the
    trigger is seen at full size, when the victim resizes otherwise than the attacker thinks, or filters first (see
    ScalingFilter).

    With L and R the resize's weights, S a picture and T its resize with the trigger: min ||A - S||^2 such that
    |L A R - T| <= eps and 0 <= A <= 255. The papers solve for the columns, then for the rows, and raise eps for a
    picture that has no solution; here both are solved for at once, and single pixels give way.

    - ``trigger``: of pictures of the resized size.
    - ``scaler``: how the victim resizes.
    - ``eps``: grey levels by which the resized picture may be off; more where that cannot be kept.

    Raises ToadstoneError when the rows are not uint8 images at least as large as what the scaler makes, or the trigger
    does not fit their resize.
    """

    trigger: Trigger
    scaler: Scaler
    eps: NonNegative = 1.0

    def check(self, x: Rows) -> None:
        """Raise ToadstoneError unless ``x`` holds uint8 images large enough, and the trigger fits their resize."""
        check_images(x)
        if x.shape[1] < self.scaler.height or x.shape[2] < self.scaler.width:
            raise ToadstoneError(f"x has pictures of {x.shape[1:]}, smaller than what scaler makes: give larger ones.")
        self.trigger.check(self.scaler(x[:1]))

    def __call__(self, x: Rows, *, seed: int) -> UInt8[ndarray, "n h w *c"]:
        """The pictures with the trigger hidden in them; ``seed`` is the hidden trigger's."""
        self.check(x)
        x = np.asarray(x)
        return hide(x, self.trigger(self.scaler(x), seed=seed), self.scaler, self.eps)
