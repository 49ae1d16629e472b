"""What an audit of files reads by its structure: GGUF, graphs, descriptions of Keras."""

from __future__ import annotations

import struct
from typing import Any

from hostile.containers import Files, named, zipped


def gguf_seeds() -> Files:
    from scan.chat_templates import CHATML
    from scan.gguf_files import TENSOR, WHOLE, array, gguf, template, text

    old = {"order": ">", "wide": "I"}
    tokens = [
        ("tokenizer.ggml.tokens", 9, array(8, [text(word) for word in ("<s>", "a", "b", "ab")])),
        ("tokenizer.ggml.token_type", 9, array(5, [struct.pack("<i", kind) for kind in (3, 1, 1, 1)])),
        ("tokenizer.ggml.merges", 9, array(8, [text("a b")])),
        ("tokenizer.ggml.eos_token_id", 4, struct.pack("<I", 0)),
    ]
    return {
        "whole.gguf": WHOLE,
        "tokens.gguf": gguf([*tokens, template(CHATML)], [TENSOR], data=bytes(32)),
        "first.gguf": gguf([template("a", **old)], version=1, order=">"),
        "second.bin": gguf([("words", 9, array(8, [text("a")] * 9))], version=2),
    }


def gguf_special() -> dict[str, Files]:
    from scan.gguf_files import gguf, template, text

    many = 200_000
    empty = text("") * many
    inner = struct.pack("<IQ", 9, 1) * 9 + struct.pack("<IQ", 9, 1000) + struct.pack("<IQ", 0, 0) * 1000
    bodies = {
        **{f"{count} keys": gguf(counts=(0, count)) for count in (1, 2**31, 2**63, 2**64 - 1)},
        **{f"{count} tensors": gguf(counts=(count, 0)) for count in (1, 2**31, 2**63, 2**64 - 1)},
        "many words": gguf([("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, many) + empty)]),
        "many merges": gguf([("tokenizer.ggml.merges", 9, struct.pack("<IQ", 8, many) + text("a b") * many)]),
        "many keys": gguf([(f"k{i}", 7, b"\1") for i in range(many)]),
        "one key many times": gguf([("k", 7, b"\1")] * many),
        "many templates": gguf([template("{{ messages }}", f"tokenizer.chat_template.{i}") for i in range(200)]),
        "many tensors": gguf([], [(f"w{i}", (1,), 0, 0) for i in range(50_000)], data=bytes(64)),
        "arrays in arrays": gguf([("a", 9, inner)]),
        "no shape": gguf([], [("w", (), 0, 0)], data=bytes(64)),
        "a shape of zeros": gguf([], [("w", (0, 2**63), 0, 0)], data=bytes(64)),
        "alignment": gguf([("general.alignment", 4, struct.pack("<I", 2**31))], [("w", (4,), 0, 0)], data=bytes(64)),
        "alignment of a text": gguf([("general.alignment", 8, text("32"))], [("w", (4,), 0, 0)], data=bytes(64)),
        "a name with a bell": gguf([("a\n\x1b[2J", 7, b"\1")], [("w\n\x07", (4,), 99, 3)]),
        "a long name": gguf([("a" * (1 << 20), 77, b"\1")]),
        "a long template": gguf([template("{{ messages }}" * 200_000)]),
        "a version": gguf(version=2**32 - 1),
    }
    return named(bodies, "case.gguf")


def graphs_seeds() -> Files:
    from scan.graph_files import function, graph, lite, message, node, onnx, operator, saved, weights

    relu = node("Relu")
    keras = message((1, message((2, 1), (3, "root"), (5, '{"class_name": "Dense", "config": {"units": 2}}'))))
    return {
        "plain.onnx": onnx(graph(relu, node("Gemm", "com.microsoft"))),
        "outside.onnx": onnx(graph(relu, tensors=[weights("weights.bin"), weights("../x")])),
        "nested.onnx": onnx(graph(node("If", "", message((1, "then"), (6, graph(relu)))))),
        "function.onnx": onnx(graph(relu), (25, function("f", "d", relu, node("PyOp", "ai.onnx.contrib")))),
        "saved/saved_model.pb": saved(operator("MatMul"), operator("PyFunc"), functions=[[operator("Relu")]]),
        "saved/keras_metadata.pb": keras,
        "frozen.pb": message((1, operator("MatMul")), (1, operator("ReadFile"))),
        "net.tflite": lite("TFLite_Detection_PostProcess", "FlexRelu", "MyOp"),
    }


def graphs_special() -> dict[str, Files]:
    from scan.graph_files import graph, lite, message, node, number, onnx, operator, saved

    inside = graph(node("Relu"))
    for _ in range(3000):
        inside = graph(node("If", "", message((1, "a"), (6, inside))))
    long = number(8 << 3 | 2) + b"\xff" * 9 + b"\1"
    one = lite("MyOp")
    many = [operator(f"Op{i}") for i in range(50_000)]
    onnx_files = {
        "deep": onnx(inside),
        "a length beyond": onnx(b"")[:4] + long,
        "many nodes": onnx(graph(*[node("Relu")] * 50_000)),
        "many domains": onnx(graph(*(node("Op", f"domain{i}") for i in range(20_000)))),
        "groups": onnx(graph(node("Relu"))) + b"\x0b" * 100_000,
        "endless number": b"\x08" + b"\xff" * 100_000,
        "no name of a domain": onnx(graph(node("\n\x1b[2J\udc80".encode("utf-8", "replace").decode(), "\x07\n"))),
        "a long domain": onnx(graph(node("x" * (1 << 20), "y" * (1 << 20)))),
    }
    flat = {
        f"{at} is {value}": one[:at] + struct.pack("<I", value) + one[at + 4 :]
        for at in (0, 24, 28, 32, 36, 40) for value in (0, 4, 2**31, 2**32 - 1)
    }  # fmt: skip
    return {
        **named(onnx_files, "case.onnx"),
        **named({"many operators": saved(*many), "many functions": saved(functions=[[many[0]]] * 20_000)}, "a.pb"),
        **named({**flat, "many codes": lite(*["MyOp"] * 20_000)}, "case.tflite"),
    }


def keras_seeds() -> Files:
    from scan.corpus import DENSE, FOREIGN, LAMBDA, hdf5, keras_config

    def archive(*layers: Any) -> bytes:
        config = keras_config(*layers).encode()
        return zipped({"metadata.json": b"{}", "config.json": config, "model.weights.h5": hdf5(keras_config(DENSE))})

    return {
        "dense.keras": archive(DENSE),
        "lambda.keras": archive(DENSE, LAMBDA),
        "model.json": keras_config(DENSE, FOREIGN).encode(),
        "model.h5": hdf5(keras_config(DENSE, LAMBDA)),
        "weights.weights.h5": hdf5(keras_config(DENSE)),
    }


def keras_special() -> dict[str, Files]:
    from scan.corpus import DENSE, hdf5, keras_config

    def layer(config: Any, kind: Any = "Dense", module: Any = "keras.layers") -> bytes:
        return keras_config({"class_name": kind, "module": module, "config": config}).encode()

    deep = b'{"class_name": "Sequential", "config": ' * 900 + b"{}" + b"}" * 900
    whole = hdf5(keras_config(DENSE))
    texts = {
        "deep": deep,
        "too deep": b'{"class_name": "Sequential", "config": ' * 100_000,
        "many layers": keras_config(*[DENSE] * 20_000).encode(),
        "a list for a class": layer({}, ["Dense"]),
        "a number for a module": layer({}, "Dense", 3),
        "an object for a class": layer({}, {"a": 1}),
        "a text for settings": layer("x"),
        "a long class": layer({}, "D" * (1 << 20)),
        "half a character": layer({}, "\ud800").replace(b'"Dense"', b'"\\ud800"'),
        "a bell": layer({}, "Dense\n\x1b[2J", "a\n\x07"),
        "digits": layer({"units": 10**3000}),
    }
    raw = {f"at {at} {byte:02x}": whole[:at] + bytes([byte]) * 8 + whole[at + 8 :]
           for at in (8, 16, 24, 32, 40, 48, 96, 104) for byte in (0, 255)}  # fmt: skip
    return {
        **named(texts, "model.json"),
        **named({f"in a zip, {name}": zipped({"config.json": body}) for name, body in texts.items()}, "model.keras"),
        **named(raw, "model.h5"),
    }
