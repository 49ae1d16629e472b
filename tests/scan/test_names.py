"""What a pickle may import: names by package and kind, and what each is called when it is refused."""

import pytest

from scan.corpus import call, short
from toadstone.scan.files import audit_files
from toadstone.scan.formats.allowed import ALLOWED
from toadstone.scan.formats.names import allowed, entry, verdict

HONEST = """
xgboost.sklearn XGBClassifier, xgboost.sklearn XGBRegressor, xgboost.sklearn XGBRFClassifier, xgboost.sklearn XGBRanker
xgboost.core Booster, xgboost.callback EarlyStopping
lightgbm.sklearn LGBMClassifier, lightgbm.sklearn LGBMRegressor, lightgbm.sklearn LGBMRanker, lightgbm.basic Booster
gymnasium.spaces.box Box, gymnasium.spaces.dict Dict, gymnasium.spaces.discrete Discrete, gymnasium.spaces.graph Graph
gymnasium.spaces.multi_binary MultiBinary, gymnasium.spaces.multi_discrete MultiDiscrete, gymnasium.spaces.oneof OneOf
gymnasium.spaces.sequence Sequence, gymnasium.spaces.text Text, gymnasium.spaces.tuple Tuple
pandas DataFrame, pandas Series, pandas Categorical, pandas MultiIndex, pandas StringDtype, pandas.arrays SparseArray
pandas.core.frame DataFrame, pandas.core.series Series, pandas.core.indexes.base Index
pandas.core.indexes.base _new_Index
pandas.core.internals.managers BlockManager, pandas._libs.internals _unpickle_block
pandas._libs.tslibs.timestamps _unpickle_timestamp, pandas._libs.tslibs.offsets MonthEnd
numpy.rec recarray, numpy.polynomial.polynomial Polynomial, numpy.random._pickle __generator_ctor
scipy.spatial._ckdtree cKDTree, scipy.interpolate._cubic CubicSpline, scipy.stats._kde gaussian_kde
scipy.optimize._optimize OptimizeResult, scipy.sparse._csr csr_array
torch.nn.parallel.data_parallel DataParallel, torch.nn.utils.weight_norm WeightNorm
torch.nn.utils.spectral_norm SpectralNorm, torch.optim.adadelta Adadelta, torch.optim.lr_scheduler CosineAnnealingLR
torch.nn.utils.rnn PackedSequence, torch.utils.data.dataset TensorDataset, torch.return_types max
tensorflow.python.framework.ops convert_to_tensor, tensorflow.python.framework.tensor_shape TensorShape
builtins Ellipsis, argparse Namespace, collections ChainMap, types SimpleNamespace, builtins ValueError
"""
REFUSED = """
pandas read_pickle, pandas read_csv, pandas eval, pandas.io.pickle read_pickle, pandas.io.common get_handle
pandas ExcelWriter, pandas HDFStore, pandas.core.frame DataFrame.eval, pandas.core.frame DataFrame.to_pickle
numpy load, numpy memmap, numpy fromfile, numpy.f2py compile, numpy.lib.format open_memmap, numpy os, numpy.random os
numpy frompyfunc, numpy apply_along_axis, numpy fromfunction, numpy.ctypeslib load_library
torch load, torch compile, torch.hub load, torch.jit load, torch.nn.functional handle_torch_function
torch.nn.functional importlib, torch.optim.lr_scheduler types, torch.utils.data.dataset IterableDataset.__class__
torch.utils.data.dataloader multiprocessing, torch._C import_ir_module, torch.nn.modules.module functools.partial
sklearn.base joblib, sklearn.utils.parallel Parallel, sklearn.utils joblib, sklearn.datasets load_files
sklearn.externals.joblib load, sklearn.model_selection._validation Parallel, sklearn.pipeline Memory
xgboost.core ctypes, xgboost.sklearn json, xgboost.tracker RabitTracker, xgboost.core Booster.load_model
lightgbm.basic ctypes, lightgbm.basic Dataset, lightgbm.sklearn Path
gymnasium.envs.registration load_env_creator, gymnasium.spaces.box os, gymnasium make
builtins eval, builtins print, builtins __import__, collections namedtuple, collections _sys, argparse FileType
argparse _sys, argparse ArgumentParser, types FunctionType, functools reduce, operator attrgetter, re sys, random _os
datetime sys, uuid _get_command_stdout, uuid os, logging FileHandler, logging os, array os, zoneinfo ZoneInfo.from_file
tensorflow.python.framework.ops eval, tensorflow.python.framework.load_library load_op_library, tensorflow io
scipy.stats._continuous_distns norm_gen, scipy.interpolate._cubic os, itertools accumulate, copyreg pickle, codecs open
"""


def pairs(table):
    return [tuple(pair.split()) for line in table.strip().splitlines() for pair in line.split(", ")]


@pytest.mark.parametrize("name", pairs(HONEST), ids=".".join)
def test_what_honest_programs_write_is_allowed(name):
    assert allowed(*name)


@pytest.mark.parametrize("name", pairs(REFUSED), ids=".".join)
def test_what_loads_evaluates_or_imports_is_not(name):
    assert not allowed(*name)


def test_each_row_has_a_reason_and_no_prefix():
    for row in ALLOWED:
        assert row.reason
        assert not row.names.fullmatch("os.system")
        assert not row.names.fullmatch("__builtins__.eval")
        assert row.module.pattern == "torch\\.return_types" or not row.names.fullmatch("read_anything")
        assert not row.module.fullmatch("os")


def rules(tmp_path, content):
    (tmp_path / "model.pkl").write_bytes(content)
    audit = audit_files([tmp_path / "model.pkl"])
    return audit.verdict, {finding.rule for finding in audit.findings}, audit.headline


def test_a_bare_class_takes_no_arguments(tmp_path):
    assert entry("xgboost.core", "Booster").kind == "bare"
    made = b"\x80\x02cxgboost.core\nBooster\n)\x81}X\1\0\0\0aK\1sb."
    assert rules(tmp_path, made)[0] == "clean"
    assert rules(tmp_path, call("xgboost.core", "Booster"))[0] == "clean"
    assert rules(tmp_path, call("xgboost.core", "Booster", {}, (), "m.json"))[0] == "findings"
    handed = b"\x80\x02cnumpy.random._pickle\n__generator_ctor\n" + b"X\6\0\0\0m.jsoncxgboost.core\nBooster\n\x86R."
    assert rules(tmp_path, handed)[0] == "findings"


@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        (b"\x80\x02cfunctools\npartial\ncbuiltins\nint\n\x85R(cbuiltins\nint\n)}NtbR"[:-1] + b".", "clean"),
        (b"\x80\x02cfunctools\npartial\ncos\nsystem\n\x85R.", "findings"),
        (b"\x80\x02cfunctools\npartial\ncbuiltins\nint\n\x85R(cfunctools\npartial\n)}Ntb.", "findings"),
        (b"\x80\x02cfunctools\npartial\ncbuiltins\nint\n\x85R(cbuiltins\nstr\n)}Ntb.", "findings"),
        (b"\x80\x02]cfunctools\npartial\na.", "findings"),
        (b"\x80\x02cbuiltins\ntype\nN\x85R.", "clean"),
        (b"\x80\x02cbuiltins\ntype\n(X\1\0\0\0A)}tR.", "findings"),
        (b"\x80\x02cbuiltins\ngetattr\ncbuiltins\nint\nX\3\0\0\0maxs\x86R."[:-5] + b"\x86R.", "findings"),
    ],
    ids=["int", "os.system", "a partial's partial", "changed", "partial kept", "type of", "type made", "getattr"],
)
def test_what_is_harmless_with_some_arguments_alone(tmp_path, content, verdict):
    assert rules(tmp_path, content)[0] == verdict


@pytest.mark.parametrize(
    ("name", "rule", "words"),
    [
        (("tensorflow.python.framework.load_library", "load_op_library"), "pickle-code", "loads other files"),
        (("cloudpickle.cloudpickle", "_make_function"), "pickle-code", "byte code"),
        (("scipy.stats._continuous_distns", "norm_gen"), "pickle-code", "text in its state"),
        (("my_company", "Net"), "pickle-unknown-import", "a package that toadstone does not know"),
        (("transformers.training_args", "TrainingArguments"), "pickle-unknown-import", "the parts of transformers"),
        (("torch.nn.parallel.distributed", "DistributedDataParallel"), "pickle-unknown-import", "the parts of torch"),
    ],
)
def test_the_reason_is_the_true_one(name, rule, words):
    found = verdict(*name, 4)
    assert found[0] == rule
    assert words in found[1]


def test_an_unknown_function_of_a_library_that_is_called(tmp_path):
    """A class of a library that is on no list is unknown; a function that the file calls could do anything."""
    assert rules(tmp_path, b"\x80\x02ctorch.utils.collect_env\nrun\n.")[:2] == ("undecided", {"pickle-unknown-import"})
    assert rules(tmp_path, call("torch.utils.collect_env", "run", "x"))[:2] == ("findings", {"pickle-code"})
    told = rules(tmp_path, b"\x80\x04" + short("my_company") + short("Net") + b"\x93.")
    assert told == (
        "undecided",
        {"pickle-unknown-import"},
        "1 of 1 file would import code that toadstone does not know.",
    )


def test_names_of_a_file_stay_in_one_line_of_what_is_said(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04" + short("os\x1b[2J\n") + short("a" * 250) + b"\x93.")
    texts = [finding.text for finding in audit_files([tmp_path]).findings]
    assert texts
    assert all(text.isprintable() and len(text) < 400 for text in texts)


def test_an_escape_that_python_will_forbid_is_read_without_a_warning(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"cos\nsystem\n(S'a\\d'\ntR.")
    assert [finding.rule for finding in audit_files([tmp_path]).findings] == ["pickle-code"]
