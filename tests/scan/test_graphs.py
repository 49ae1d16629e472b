"""ONNX, TensorFlow's graphs and TensorFlow Lite, written field by field from their schemas."""

import pickle
import struct
import tempfile

import pytest

from toadstone.scan.files import audit_files
from toadstone.scan.formats.dispatch import scan_file
from toadstone.scan.formats.source import Window


def number(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(place, value):
    """A field of a message: an integer, a text, or bytes."""
    if isinstance(value, int):
        return number(place << 3) + number(value)
    raw = value.encode() if isinstance(value, str) else value
    return number(place << 3 | 2) + number(len(raw)) + raw


def message(*fields):
    return b"".join(field(*pair) for pair in fields)


def node(name, domain="", *attributes):
    return message((1, "x"), (2, "y"), (4, name), (7, domain), *((5, attribute) for attribute in attributes))


def weights(location, key="location"):
    """A tensor whose numbers are in another file."""
    return message((1, 3), (2, 1), (8, "w"), (13, message((1, key), (2, location))), (14, 1))


def graph(*nodes, tensors=()):
    return message(*((1, each) for each in nodes), (2, "g"), *((5, each) for each in tensors))


def onnx(inside, *more):
    return message((1, 8), (2, "maker"), (7, inside), (8, message((1, ""), (2, 18))), *more)


RELU = node("Relu")


def function(name, domain, *nodes):
    return message((1, name), (4, "x"), (5, "y"), *((7, each) for each in nodes), (10, domain))


OUTSIDE = {
    "up": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "down and up": "data/../../x",
    "end": "data/..",
    "drive": "C:\\weights.bin",
    "share": "\\\\host\\share",
    "backslashes": "..\\x",
    "home": "~/x",
    "address": "https://host/x",
    "file address": "file:///etc/passwd",
}
INSIDE = ["weights.bin", "data/weights.bin", "a..b/w", "model.onnx.data", ".hidden"]


def rules(tmp_path, content, name="model.onnx"):
    (tmp_path / name).write_bytes(content)
    found = audit_files([tmp_path / name])
    return {finding.rule for finding in found.findings}, found


@pytest.mark.parametrize("name", ["model.onnx", "model", "model.bin"])
@pytest.mark.parametrize("path", OUTSIDE.values(), ids=OUTSIDE)
def test_weights_outside_the_folder_are_found(tmp_path, name, path):
    told, found = rules(tmp_path, onnx(graph(RELU, tensors=[weights(path)])), name)
    assert told == {"onnx-outside-path"}
    assert found.findings[0].detail["path"] == path


def test_honest_models_are_clean(tmp_path):
    for path in INSIDE:
        assert rules(tmp_path, onnx(graph(RELU, tensors=[weights(path)])))[0] == set()
    own = function("F", "mine", RELU)
    assert rules(tmp_path, onnx(graph(node("F", "mine")), (25, own)))[0] == set()
    assert (
        rules(tmp_path, onnx(graph(node("LinearRegressor", "ai.onnx.ml"), node("Gelu", "com.microsoft"))))[0] == set()
    )


WITH_A_SUBGRAPH = graph(RELU, tensors=[weights("../x")])
DEEPER = {
    "subgraph": onnx(graph(node("If", "", message((1, "then_branch"), (6, WITH_A_SUBGRAPH))))),
    "subgraphs": onnx(graph(node("If", "", message((1, "branches"), (11, WITH_A_SUBGRAPH))))),
    "subgraph of a subgraph": onnx(
        graph(node("If", "", message((6, graph(node("If", "", message((6, WITH_A_SUBGRAPH)))))))),
    ),
    "constant": onnx(graph(node("Constant", "", message((1, "value"), (5, weights("../x")))))),
    "constants": onnx(graph(node("Constant", "", message((1, "values"), (10, weights("../x")))))),
    "sparse": onnx(message((1, RELU), (15, message((1, weights("../x")))))),
    "sparse constant": onnx(graph(node("Constant", "", message((22, message((2, weights("../x")))))))),
    "function": onnx(
        graph(node("F", "mine")), (25, function("F", "mine", node("C", "", message((5, weights("../x"))))))
    ),
    "training": onnx(graph(RELU), (20, message((1, WITH_A_SUBGRAPH)))),
    "context of a device": onnx(
        graph(node("EPContext", "com.microsoft", message((1, "ep_cache_context"), (4, "../x.bin"))))
    ),
}


@pytest.mark.parametrize("content", DEEPER.values(), ids=DEEPER)
def test_weights_outside_are_found_at_every_depth(tmp_path, content):
    assert "onnx-outside-path" in rules(tmp_path, content)[0]


def test_operators_of_others(tmp_path):
    told, found = rules(tmp_path, onnx(graph(node("Evil", "my.ops"))))
    assert told == {"foreign-operator"}
    assert found.verdict == "undecided"
    assert "my.ops.Evil" in found.findings[0].text
    assert "imports-code" in rules(tmp_path, onnx(graph(node("PyOp", "ai.onnx.contrib"))))[0]
    assert rules(tmp_path, onnx(graph(node("F", "mine")), (25, function("G", "mine", RELU))))[0] == {"foreign-operator"}


def test_what_is_no_onnx_is_not_clean(tmp_path):
    whole = onnx(graph(RELU))
    for content in (whole[:-3], b"\xff" * 40, b"\0" * 40, message((1, 8)), whole + b"\7", b"text"):
        assert rules(tmp_path, content)[1].verdict != "clean"
    deep = RELU
    for _ in range(60):
        deep = node("If", "", message((6, graph(deep))))
    assert rules(tmp_path, onnx(graph(deep)))[1].verdict == "undecided"
    assert "pickle-code" in rules(tmp_path, pickle.dumps(print, 0).replace(b"c__builtin__\nprint", b"cos\nsystem"))[0]


def test_a_file_of_the_publishers_writer(tmp_path):
    """The writer of onnx shares no code with the reader."""
    maker = pytest.importorskip("onnx").helper
    value = maker.make_tensor_value_info("x", 1, [1])
    made = maker.make_graph([maker.make_node("Relu", ["x"], ["y"])], "g", [value], [value])
    assert rules(tmp_path, maker.make_model(made).SerializeToString(), "model")[0] == set()


def operator(name):
    return message((1, "n"), (2, name), (3, "x"))


def saved(*nodes, functions=()):
    library = message(*((1, message((1, "f"), *((3, each) for each in told))) for told in functions))
    graphs = message(*((1, each) for each in nodes), (2, library))
    return message((1, 1), (2, message((1, message((5, "1.0"))), (2, graphs))))


TOUCHES = (
    *("PyFunc", "EagerPyFunc", "ReadFile", "WriteFile", "MatchingFiles", "SqlDataset", "SaveDataset"),
    *("LoadDataset", "RemoteCall", "DebugIdentityV2", "PrintV2"),
)


@pytest.mark.parametrize("name", TOUCHES)
def test_operators_that_do_more_than_compute(tmp_path, name):
    for content in (saved(operator("MatMul"), operator(name)), saved(functions=[[operator("Relu"), operator(name)]])):
        for file in ("saved_model.pb", "model"):
            assert rules(tmp_path, content, file)[0] == {"graph-operator"}
    assert rules(tmp_path, message((1, operator(name))), "frozen.pb")[0] == {"graph-operator"}


def test_honest_graphs_are_clean(tmp_path):
    content = saved(operator("MatMul"), operator("SaveV2"), operator("RestoreV2"), operator("ReadVariableOp"))
    assert rules(tmp_path, content, "saved_model.pb")[0] == set()
    for broken in (content[:-4], b"text", b"\xff" * 30):
        assert rules(tmp_path, broken, "saved_model.pb")[1].verdict == "undecided"


def test_a_lambda_in_the_metadata_of_keras(tmp_path):
    told = '{"class_name": "Lambda", "config": {"function": ["4wEA", null, null]}}'
    assert (
        "keras-lambda" in rules(tmp_path, message((1, message((2, 1), (3, "root"), (5, told)))), "keras_metadata.pb")[0]
    )


def lite(*names):
    """A flatbuffer with a table of operators of custom codes, and an empty list of graphs."""
    out = bytearray(struct.pack("<I4sHHHHHHI", 24, b"TFL3", 12, 16, 0, 8, 12, 0, 0))
    root = 24
    out = out.ljust(root, b"\0")
    shape = 8
    out += struct.pack("<iIII", root - shape, 0, 0, 0)
    codes = len(out)
    struct.pack_into("<I", out, root + 8, codes - (root + 8))
    out += struct.pack("<I", len(names)) + bytes(4 * len(names))
    for i, name in enumerate(names):
        shape = len(out)
        out += struct.pack("<HHHH", 8, 8, 0, 4)
        table = len(out)
        struct.pack_into("<I", out, codes + 4 + 4 * i, table - (codes + 4 + 4 * i))
        out += struct.pack("<iI", table - shape, 4) + struct.pack("<I", len(name)) + name.encode()
        out += bytes(-len(out) % 4 + 4)
    struct.pack_into("<I", out, root + 12, len(out) - (root + 12))
    return bytes(out + struct.pack("<I", 0))


def test_lite(tmp_path):
    assert rules(tmp_path, lite("TFLite_Detection_PostProcess"), "net.tflite")[0] == set()
    assert rules(tmp_path, lite("FlexPyFunc"), "net.tflite")[0] == {"graph-operator"}
    assert rules(tmp_path, lite("FlexRelu", "FlexReadFile"), "net")[0] == {"graph-operator"}
    assert rules(tmp_path, lite("MyOp"), "net.tflite")[0] == {"foreign-operator"}
    assert rules(tmp_path, lite("MyOp")[:60], "net.tflite")[1].verdict == "undecided"


@pytest.mark.parametrize("name", ["m.onnx", "m.pb", "m.tflite", "m"])
def test_every_cut_is_read_without_an_error(name):
    for content in (
        DEEPER["function"],
        saved(operator("PyFunc"), functions=[[operator("A")]]),
        lite("FlexPyFunc", "B"),
    ):
        with tempfile.TemporaryFile() as file:
            file.write(content)
            for end in range(len(content)):
                scan_file(Window(file, 0, end), name)
