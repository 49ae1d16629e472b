"""Settings whose text decides what a loader imports."""

import io
import json
import tarfile
import zipfile

import pytest

from toadstone.scan.files import audit_files


def rules(tmp_path, name, content):
    """{(rule, level)} of a file."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return {(finding.rule, finding.level) for finding in audit_files([path]).findings}


MAP = {"AutoModel": "modeling.Net"}
REMOTE = {
    "auto_map": ("config.json", {"auto_map": MAP}),
    "nested": ("config.json", {"text_config": {"deep": [{"auto_map": MAP}]}}),
    "in a list": ("config.json", [{"auto_map": MAP}]),
    "behind a mark": ("config.json", "\ufeff" + json.dumps({"auto_map": MAP})),
    "behind blanks": ("config.json", " \n" * 99 + json.dumps({"auto_map": MAP})),
    "in another name": ("notes.txt", {"auto_map": MAP}),
    "a key twice": ("config.json", '{"auto_map": {"AutoModel": "a.B"}, "auto_map": {}}'),
    "after another value": ("config.json", '{"a": 1}\n' + json.dumps({"auto_map": MAP})),
    "in UTF-16": ("config.json", json.dumps({"auto_map": MAP}).encode("utf-16")),
    "of another repository": ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["them/repo--tok.T", None]}}),
    "custom pipelines": ("config.json", {"custom_pipelines": {"pair": {"impl": "pair.Pair", "pt": ["AutoModel"]}}}),
    "trust": ("config.json", {"trust_remote_code": True}),
    "trust in settings of a trainer": ("args.json", {"model": {"trust_remote_code": "true"}}),
    "kernel": ("config.json", {"_attn_implementation": "them/kernel"}),
    "part of a pipeline": ("model_index.json", {"_class_name": "P", "unet": ["my_unet", "Net"]}),
    "class of a pipeline": ("model_index.json", {"_class_name": ["pipeline", "P"], "_diffusers_version": "0.30"}),
    "adapter": ("adapter_config.json", {"peft_type": "LORA", "auto_mapping": {"parent_library": "evil"}}),
}
HONEST = {
    "config.json": {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "auto_map": {},
        "trust_remote_code": False,
    },
    "model_index.json": {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.30",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "safety_checker": [None, None],
        "feature_extractor": ["transformers.models.clip", "CLIPImageProcessor"],
    },
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ],
    "adapter_config.json": {
        "peft_type": "LORA",
        "base_model_name_or_path": "org/model",
        "auto_mapping": {
            "base_model_class": "LlamaForCausalLM",
            "parent_library": "transformers.models.llama.modeling_llama",
        },
    },
    "2_Dense/config.json": {"in_features": 3, "activation_function": "torch.nn.modules.activation.Tanh"},
    "gpt2.json": {"activation_function": "gelu_new"},
    "model.yaml": "a:\n  _target_: torch.nn.Linear\n  b: {_target_: nemo.collections.asr.modules.ConformerEncoder}\n",
    "optimiser.yaml": "_target_: torch.optim.AdamW\nlr: 1e-3\n",
    "act.yaml": "_target_: torch.nn.functional.relu\n",
    "MLmodel": "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    model_path: model.pkl\n",
    "schema.json": {
        "__class__": "LogisticRegression",
        "__module__": "sklearn.linear_model._logistic",
        "__loader__": "ObjectNode",
        "content": {"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "content": {}},
    },
    "plain.yaml": "seed: 1\npath: ${data}/x\n",
}


@pytest.mark.parametrize("name", REMOTE)
def test_code_beside_the_weights_is_named(tmp_path, name):
    assert rules(tmp_path, *REMOTE[name]) == {("remote-code", "warning")}


@pytest.mark.parametrize("name", HONEST)
def test_honest_settings_are_clean(tmp_path, name):
    assert rules(tmp_path, name, HONEST[name]) == set()


def skops(module, name, loader="ObjectNode", **more):
    return {"__module__": module, "__class__": name, "__loader__": loader, **more}


RUNS = {
    "sentence-transformers": ("modules.json", [{"type": "os.system", "path": "id"}]),
    "activation": ("2_Dense/config.json", {"activation_function": "os.system"}),
    "Hydra": ("config.yaml", "model:\n  _target_: os.system\n  command: id\n"),
    "Hydra in flow": ("config.yaml", "a: [{b: {_target_: subprocess.run}}]"),
    "Hydra in quotes": ("config.yaml", "'_target_': 'builtins.exec'"),
    "Hydra in escapes": ("config.yaml", r'"\x5ftarget_": "builtins.eval"'),
    "Hydra by an anchor": ("config.yaml", "x: &t os.system\nm:\n  _target_: *t\n"),
    "Hydra by a merge": ("config.yaml", "x: &t {_target_: os.system}\nm:\n  <<: *t\n"),
    "Hydra as a block": ("config.yaml", "m:\n  _target_: >-\n    os.system\n"),
    "Hydra with an explicit key": ("config.yaml", "m:\n  ? _target_\n  : os.system\n"),
    "Hydra in a second document": ("config.yaml", "a: 1\n---\n_target_: os.system\n"),
    "Hydra in JSON": ("config.json", {"a": [{"_target_": "torch.hub.load"}]}),
    "Hydra in a text": ("notes.txt", "model:\n  _target_: os.popen\n"),
    "a module behind a class": ("config.yaml", "_target_: torch.nn.Linear.os.system\n"),
    "a loader of a library": ("config.yaml", "_target_: transformers.AutoModel.from_pretrained\n"),
    "Hydra's own": ("config.yaml", "_target_: hydra.utils.get_method\npath: os.system\n"),
    "MONAI": (
        "inference.json",
        {"net": {"_target_": "monai.networks.nets.UNet"}, "x": "$__import__('os').system('id')"},
    ),
    "MONAI's imports": ("inference.json", {"imports": ["$import os"], "net": {"_target_": "monai.networks.nets.UNet"}}),
    "MLflow": ("m/MLmodel", "flavors:\n  python_function:\n    loader_module: os.system\n"),
    "skops": ("schema.json", skops("os", "system", "FunctionNode")),
    "skops inside": ("schema.json", skops("sklearn.svm._classes", "SVC", content=[skops("subprocess", "Popen")])),
    "skops' functions": (
        "schema.json",
        skops("builtins", "function", "FunctionNode", content={"module_path": "os", "function": "system"}),
    ),
    "skops' operators": ("schema.json", skops("operator", "methodcaller", "OperatorFuncNode")),
}


@pytest.mark.parametrize("name", RUNS)
def test_calls_that_do_harm_are_found(tmp_path, name):
    assert ("imports-code", "error") in rules(tmp_path, *RUNS[name])


UNKNOWN = {
    "Hydra": ("config.yaml", "_target_: my_project.Net\n"),
    "Hydra, computed": ("config.yaml", "_target_: ${name}\n"),
    "sentence-transformers": ("modules.json", [{"type": "custom.Module", "path": ""}]),
    "MLflow": ("m/MLmodel", "flavors:\n  python_function:\n    loader_module: my_loader\n"),
    "skops": ("schema.json", skops("my_project", "Net")),
    "MONAI": ("inference.json", {"net": {"_target_": "monai.networks.nets.UNet"}, "n": "$len(@data)"}),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_not_clean(tmp_path, name):
    assert rules(tmp_path, *UNKNOWN[name]) == {("unknown-import", "warning")}


def test_code_of_mlflow_is_named(tmp_path):
    text = "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    code: code\n"
    assert rules(tmp_path, "m/MLmodel", text) == {("remote-code", "warning")}


def test_resolvers_and_places_outside_are_notes(tmp_path):
    assert rules(tmp_path, "c.yaml", "a: ${oc.env:SECRET}\nb: {_target_: torch.nn.ReLU}\n") == {("resolver", "note")}
    adapter = {"peft_type": "LORA", "base_model_name_or_path": "/home/them/model"}
    assert rules(tmp_path, "adapter_config.json", adapter) == {("outside-path", "note")}


def test_settings_in_archives_are_read(tmp_path):
    """NeMo keeps YAML in a tar, skops JSON in a zip."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        told = tarfile.TarInfo("model_config.yaml")
        content = b"encoder:\n  _target_: os.system\n"
        told.size = len(content)
        archive.addfile(told, io.BytesIO(content))
    assert ("imports-code", "error") in rules(tmp_path, "model.nemo", raw.getvalue())
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("schema.json", json.dumps(skops("os", "system", "FunctionNode")))
    assert ("imports-code", "error") in rules(tmp_path, "model.skops", raw.getvalue())


def test_settings_that_cannot_be_read_are_not_clean(tmp_path):
    assert rules(tmp_path, "c.yaml", "_target_: [a\n") == {("could-not-scan", "warning")}
    assert ("could-not-scan", "warning") in rules(tmp_path, "c.yaml", "_target_: a\n" + "[" * 5000)
