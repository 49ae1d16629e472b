"""Settings that name what a loader imports: JSON and YAML of Hugging Face, Hydra, MONAI, skops, MLflow, NeMo."""

from __future__ import annotations

import json

from hostile.containers import Files, named, numbered, tarred, zipped

_SETTINGS: list[tuple[str, object]] = [
    ("config.json", {"model_type": "llama", "auto_map": {"AutoModel": "modeling.Net"}, "trust_remote_code": True}),
    ("config.json", {"architectures": ["Bert"], "text_config": {"a": [{"auto_map": {}}]}, "_target_": "torch.nn.ReLU"}),
    ("model_index.json", {"_class_name": "P", "_diffusers_version": "0.30", "unet": ["my_unet", "Net"], "x": [None]}),
    ("modules.json", [{"idx": 0, "type": "sentence_transformers.models.Transformer"}, {"type": "os.system"}]),
    ("adapter_config.json", {"peft_type": "LORA", "auto_mapping": {"parent_library": "evil"}, "revision": "x"}),
    ("2_Dense/config.json", {"activation_function": "os.system"}),
    ("inference.json", {"imports": ["$import os"], "net": {"_target_": "monai.networks.nets.UNet"}, "n": "$len(@x)"}),
]  # fmt: skip
_TEXTS = [
    ("config.yaml", "a: {_target_: torch.nn.ReLU}\nx: &t os.system\nm:\n  _target_: *t\nb: ${oc.env:SECRET}\n"),
    (
        "config.yaml",
        "x: &t {_target_: os.system}\nm:\n  <<: *t\n? _target_\n: >-\n  a.b\n---\n'_target_': \"a\\x2eb\"\n",
    ),
    (
        "m/MLmodel",
        "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    code: code\n    env: conda.yaml\n",
    ),
]


def settings_seeds() -> Files:
    texts = [(name, text.encode()) for name, text in _TEXTS]
    return numbered([*((name, json.dumps(told).encode()) for name, told in _SETTINGS), *texts])


def settings_special() -> dict[str, Files]:
    odd: list[object] = [
        None,
        3,
        [],
        {},
        "",
        [[[]]],
        {"a": {"b": None}},
        "\ud800",
        "a\n\x1b[2J",
        "x" * (1 << 20),
        1e308,
    ]
    keys = (
        "auto_map",
        "trust_remote_code",
        "custom_pipelines",
        "_attn_implementation",
        "_target_",
        "peft_type",
        "imports",
    )
    all_of = {key: json.dumps([{key: value} for value in odd]).encode() for key in keys}
    index = [{"_class_name": value, "_diffusers_version": value, "unet": value} for value in odd]
    bodies = {
        **all_of,
        "deep": b'{"auto_map": ' * 100_000,
        "deep and closed": b'{"auto_map": ' * 900 + b"1" + b"}" * 900,
        "deep lists": b"[" * 900 + b'{"auto_map": {"a": "b.C"}}' + b"]" * 900,
        "many maps": json.dumps([{"auto_map": {"AutoModel": f"a{i}.B"}} for i in range(20_000)]).encode(),
        "many values": b'{"auto_map": {"a": "b.C"}}\n' * 50_000,
        "blanks between": b"1 " * 1_000_000,
        "digits": b'{"_target_": ' + b"9" * 100_000 + b"}",
        "not finite": b'{"_target_": NaN, "auto_map": -Infinity}',
    }
    made = named(bodies, "config.json")
    for i, told in enumerate(index):
        made[f"pipeline {i}"] = {"case/model_index.json": json.dumps(told).encode()}
        made[f"modules {i}"] = {"case/modules.json": json.dumps([{"type": odd[i]}, odd[i]]).encode()}
    return made


def _node(module: object, name: object, loader: object = "ObjectNode", **more: object) -> dict[str, object]:
    return {"__module__": module, "__class__": name, "__loader__": loader, **more}


def bundles_seeds() -> Files:
    """What skops, MLflow and NeMo save."""
    inner = _node("subprocess", "Popen", content={"type": "DictNode"})
    schema = json.dumps(_node("sklearn.svm._classes", "SVC", content=[inner], __id__=3)).encode()
    runs = json.dumps(
        _node("builtins", "function", "FunctionNode", content={"module_path": "os", "function": "system"})
    )
    settings = b"encoder:\n  _target_: os.system\n"
    return {
        "a.skops": zipped({"schema.json": schema, "1.npy": b"\x93NUMPY\1\0"}),
        "b.skops": zipped({"schema.json": runs.encode()}, 8),
        "net.nemo": tarred({"model_config.yaml": settings, "weights.ckpt": b"\x80\x02}."}, "w:gz"),
        "plain.nemo": tarred({"./model_config.yaml": settings}),
        "model/MLmodel": _TEXTS[2][1].encode(),
        "model/python_env.yaml": b"python: 3.11\ndependencies: [-r requirements.txt]\n",
        "model/model.pkl": b"\x80\x02}q\0X\x01\0\0\0aK\1s.",
    }


def bundles_special() -> dict[str, Files]:
    deep: object = 1
    for _ in range(300):
        deep = _node("a", "B", content=deep)
    odd: list[object] = [None, 3, [], {}, "", "\ud800", "a\n\x1b[2J", "x" * (1 << 20)]
    schemas: dict[str, object] = {
        "deep": deep,
        "odd": [_node(value, value, value, content=value) for value in odd],
        "many": [_node(f"m{i}", "C") for i in range(20_000)],
    }
    bodies = {name: json.dumps(schema).encode() for name, schema in schemas.items()}
    bodies["too deep"] = b'{"__loader__": "ObjectNode", "__module__": ' * 100_000
    flavors = {
        "a list of flavors": b"flavors: [1, 2]\n",
        "a flavor of a number": b"flavors: {python_function: 3}\n",
        "loaders": b"flavors: {python_function: {loader_module: [a], code: {b: c}}}\n",
        "no flavors": b"flavors:\n",
    }
    return {
        **named({name: zipped({"schema.json": body}) for name, body in bodies.items()}, "a.skops"),
        **named({f"schema, {name}": body for name, body in bodies.items()}, "schema.json"),
        **named(flavors, "MLmodel"),
    }
