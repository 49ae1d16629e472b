"""Weights: safetensors and torch's files."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections import OrderedDict

from hostile.containers import Files, saved, zeros, zip_of, zipped
from hostile.pickles import pickles


def safetensors_seeds() -> Files:
    import torch
    from safetensors.torch import save

    return {"case.safetensors": save({"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.float16)})}


def safetensors_special() -> dict[str, Files]:
    def of(header: bytes, size: int | None = None, body: bytes = b"") -> Files:
        return {"case.safetensors": struct.pack("<Q", len(header) if size is None else size) + header + body}

    def tensor(shape: list[int], offsets: list[int], kind: str = "F32") -> Files:
        return of(json.dumps({"w": {"dtype": kind, "shape": shape, "data_offsets": offsets}}).encode(), None, bytes(64))

    return {
        **{f"header of {size}": of(b"{}", size) for size in (0, 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)},
        "deep": of(b'{"a":' * 100_000),
        "deep lists": of(b"[" * 100_000),
        "blanks": of(b"{}" + b" " * (90 << 20)),
        "many tensors": of(b"{" + b",".join(b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % i
                                            for i in range(100_000)) + b"}"),
        "ten terabytes": tensor([10**13], [0, 4 * 10**13]),
        "overflow": tensor([2**40, 2**40], [0, 64]),
        "backwards": tensor([4], [32, 16]),
        "no numbers, many": tensor([0, 2**62], [0, 0]),
        "unknown type": tensor([4], [0, 16], "F99"),
        "float 4": tensor([4], [0, 2], "F4"),
        "metadata": of(b'{"__metadata__": {"a": 3}}'),
        "a name": of(b'{"w\\n\\u001b[2J": {"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', None, bytes(4)),
        "same name": of(b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],'
                        b'"data_offsets":[0,4]}}', None, bytes(4)),
    }  # fmt: skip


def pt_seeds() -> Files:
    import torch

    weights = {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}
    return {
        "case.pt": saved(lambda file: torch.save(weights, file)),
        "old.pth": saved(lambda file: torch.save(weights, file, _use_new_zipfile_serialization=False)),
    }


def pt_special() -> dict[str, Files]:
    with zipfile.ZipFile(io.BytesIO(pt_seeds()["case.pt"])) as held:
        members = {name: held.read(name) for name in held.namelist()}
    key = next(name for name in members if name.endswith("data.pkl"))

    def packed(body: bytes) -> Files:
        return {"case.pt": zipped({**members, key: body})}

    made = {f"zip: {name}": packed(body) for name, body in pickles().items()}
    made.update({f"old: {name}": {"case.pt": body} for name, body in pickles().items()})
    large = members[key].replace(b"K\x02K\x03\x86", b"\x8a\x06" + (10**13).to_bytes(6, "little") + b"K\x03\x86")
    made["a size that is not there"] = packed(large)
    made["bomb"] = {"case.pt": zip_of(key, zeros(10_240), 10_240 << 20)}
    made["overlapping"] = {"case.pt": zip_of(key, zeros(30), 30 << 20, times=2000)}
    made["tar"] = {"case.pt": b"\0" * 512 * 3}
    return made


def checkpoint_seeds() -> Files:
    """State dicts under what training scripts put around them."""
    import torch

    inner = {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}
    parallel = {f"module.{name}": value for name, value in inner.items()}
    moments = {"state": {0: {"step": torch.tensor(1.0), "exp_avg": inner["w"]}}, "param_groups": [{"lr": 0.1}]}
    wrapped: dict[str, object] = {
        "plain": OrderedDict(inner),
        "lightning": {
            "state_dict": {f"model.{k}": v for k, v in inner.items()},
            "epoch": 3,
            "hyper_parameters": {"lr": 0.1},
        },
        "trainer": {"model_state_dict": parallel, "optimizer_state_dict": moments, "loss": 0.5},
        "nested": {"model": {"net": inner}, "args": {"a": (1, None, "x")}},
        "averaged": {"net": inner, "ema": parallel, "best": torch.tensor(0.5)},
        "list": [inner, moments],
    }
    return {
        **{f"{name}.pt": saved(lambda file, w=what: torch.save(w, file)) for name, what in wrapped.items()},
        "old.pth": saved(lambda file: torch.save(wrapped["trainer"], file, _use_new_zipfile_serialization=False)),
        "case.safetensors": safetensors_seeds()["case.safetensors"],
    }
