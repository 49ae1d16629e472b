"""What an algorithm needs is checked before it starts, however it is called, and said in one sentence a word."""

import inspect
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from toadstone.checks.common import toy
from toadstone.core import Data, Detector, FeatureModel, Inspector, Pool
from toadstone.defenses import (
    RONI,
    Beatrix,
    CognitiveDistillation,
    GradientClustering,
    LossRanking,
    NeuralCleanse,
    ReferenceCleanse,
    ScalingFilter,
)
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.models import Pixels, SklearnModel, TorchModel
from toadstone.needs import VERBS, WORDS, check, check_kinds
from toadstone.overlay import Overlay
from toadstone.registry import _TABLE, entries, register
from toadstone.training import FitRegression, SpamBayes
from toadstone.triggers import Scaler

BINARY = ("no", "yes")
TABLE = Data(np.arange(12.0).reshape(4, 3), np.array([0, 1, 0, 1]), BINARY)
TEXTS = Data(np.array(["a b", "c d"], object), np.array([0, 1]), BINARY)
PICTURES = Data(np.zeros((2, 4, 4), np.uint8), np.array([0, 1]), BINARY)
NUMBERS = Data(np.zeros((2, 3)), np.array([0.5, 1.5]), ())
ALIKE = Data(np.zeros((2, 3)), np.array([1, 1]), BINARY)


class Box:
    classes = BINARY

    def probs(self, x):
        return np.full((len(x), 2), 0.5)


class Silent:
    classes = BINARY


class Told(Box):
    def features(self, x):
        return np.zeros((len(x), 2))


class Reads:
    modality = "table"


class Open(Told):
    net, encode = None, Reads()

    def frozen(self):
        raise NotImplementedError


class Sees:
    modality = "image"


class Looks(Open):
    encode = Sees()


LACKING = [
    ("labels", {"train": NUMBERS}, "train is a regression set"),
    ("two classes", {"data": NUMBERS, "clean": TABLE}, "data is a regression set"),
    ("two classes", {"model": Box(), "clean": ALIKE}, "clean holds a single class"),
    ("numbers", {"train": TABLE}, "train is a classification set"),
    ("images", {"data": TABLE}, r"data must hold uint8 images, not float64 rows of shape \(3,\)"),
    ("images", {"data": PICTURES, "clean": TABLE}, "clean must hold uint8 images"),
    ("images", {"inputs": np.zeros((2, 4, 4))}, "inputs must hold uint8 images, not float64"),
    ("image model", {"model": Open(), "clean": PICTURES}, "model Open reads table: one that reads images"),
    ("image model", {"model": Box(), "clean": PICTURES}, "model Box reads other rows: one that reads images"),
    ("text", {"train": TABLE}, "train must hold text, not float64"),
    ("trusted rows", {"data": TABLE, "clean": None}, "clean is missing"),
    ("trusted rows", {"data": TABLE}, "clean is missing"),
    ("trusted rows", {"pool": Pool.of(TABLE, None)}, "clean is missing"),
    ("two classes", {"pool": Pool.of(NUMBERS, NUMBERS)}, "data is a regression set"),
    ("images", {"pool": Pool.of(TABLE, TABLE)}, "data must hold uint8 images"),
    ("probs", {"model": Silent()}, "model Silent gives no probabilities"),
    ("features", {"model": Box()}, "model Box has no features to read"),
    ("gradients", {"model": Told()}, "model is a Told, without gradients: a TorchModel"),
    ("server's rows", {"server_rows": 0}, "server_rows is 0: set rows aside for the server"),
]
HELD = [
    ("labels", {"train": ALIKE}),
    ("two classes", {"data": TABLE, "clean": ALIKE}),
    ("numbers", {"train": NUMBERS}),
    ("images", {"model": Box(), "data": PICTURES, "clean": None}),
    ("images", {"inputs": Overlay.of(PICTURES.x, np.array([0]), PICTURES.x[:1])}),
    ("image model", {"model": Looks()}),
    ("text", {"train": TEXTS}),
    ("trusted rows", {"clean": TABLE}),
    ("trusted rows", {"pool": Pool.of(TABLE, TABLE)}),
    ("trusted rows if any", {"pool": Pool.of(TABLE, None)}),
    ("two classes", {"pool": Pool.of(TABLE, ALIKE)}),
    ("images", {"pool": Pool.of(PICTURES, PICTURES)}),
    ("probs", {"model": Box()}),
    ("features", {"model": Told()}),
    ("gradients", {"model": Open()}),
    ("server's rows", {"server_rows": 1}),
]


@pytest.mark.parametrize(("word", "given", "sentence"), LACKING)
def test_each_word_has_a_sentence_that_names_the_argument(word, given, sentence):
    with pytest.raises(NotApplicableError, match=sentence):
        check((word,), given)


@pytest.mark.parametrize(("word", "given"), HELD)
def test_what_is_there_is_not_refused(word, given):
    check((word,), given)


def test_every_word_is_tried_above():
    assert {word for word, _ in HELD} == set(WORDS)
    assert {word for word, *_ in LACKING} == set(WORDS) - {"trusted rows if any"}


def test_a_torch_model_has_gradients_and_features():
    check(("gradients", "features", "probs", "images", "image model"), {"model": toy().model, "clean": toy().held})
    assert isinstance(toy().model, FeatureModel)


def box():
    return SklearnModel.__new__(SklearnModel)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda t: NeuralCleanse().inspect(box(), t.held, seed=0), "SklearnModel, without gradients: a TorchModel"),
        (lambda t: NeuralCleanse().inspect(t.model, clean=TABLE, seed=0), "clean must hold uint8 images"),
        (lambda t: Beatrix().score(box(), Pool.of(t.train, None), seed=0), "no features"),
        (lambda t: Beatrix("features.3").score(box(), Pool.of(t.train, None), seed=0), "without gradients"),
        (lambda t: GradientClustering("input").score(box(), Pool.of(t.train, None), seed=0), "without gradients"),
        (lambda t: RONI().score(box(), Pool.of(t.train, None), seed=0), "clean is missing"),
        (lambda t: ScalingFilter(Scaler(height=2, width=2)).purify(TABLE.x, seed=0), "inputs must hold uint8"),
        (lambda t: FitRegression().fit(t.train, seed=0), "classification set"),
        (lambda t: SpamBayes().fit(t.train, seed=0), "train must hold text"),
    ],
)
def test_a_direct_call_is_guarded(call, sentence):
    with pytest.raises(NotApplicableError, match=sentence):
        call(toy())


def test_a_setting_decides_what_is_needed():
    class Never(Box):
        def probs(self, x):
            raise AssertionError("the model was asked.")

    with pytest.raises(NotApplicableError, match="no probabilities"):
        LossRanking().score(Silent(), Pool.of(TABLE, None), seed=0)
    own = LossRanking(trainer=Constant()).score(Never(), Pool.of(TABLE, None), seed=0)
    assert own.values == pytest.approx(np.log(2))


@dataclass(frozen=True)
class Constant:
    def fit(self, train, *, seed):
        return Box()


def test_the_class_stays_what_it_was():
    assert isinstance(NeuralCleanse(), Inspector)
    assert isinstance(Beatrix(), Detector)
    assert not isinstance(NeuralCleanse(), Detector)
    assert list(inspect.signature(NeuralCleanse.inspect).parameters) == ["self", "model", "clean", "seed"]
    assert NeuralCleanse.inspect.__doc__.startswith("Index")
    assert pickle.loads(pickle.dumps(NeuralCleanse())) == NeuralCleanse()


def test_a_word_that_nobody_knows_is_a_mistake_of_the_author():
    with pytest.raises(RuntimeError, match=r"'label'.*labels"):

        @register("detector", needs=("label",))
        @dataclass(frozen=True)
        class Misspelt:
            pass

    assert "misspelt" not in _TABLE


def test_a_strangers_class_is_guarded_like_ours():
    @register("detector", needs=("features",))
    @dataclass(frozen=True)
    class Strange:
        def score(self, model, pool, *, seed):
            return "asked"

    try:
        pool = Pool.of(TABLE, None)
        assert Strange().score(Told(), pool, seed=0) == "asked"
        with pytest.raises(NotApplicableError, match="no features"):
            Strange().score(Box(), pool, seed=0)
        with pytest.raises(TypeError, match="seed"):
            Strange().score(Told(), pool)
    finally:
        del _TABLE["strange"]


def test_the_words_of_every_algorithm_are_about_arguments_that_its_verb_has():
    about = {
        "trusted rows": {"clean", "pool"},
        "trusted rows if any": {"pool"},
        "image model": {"model"},
        "probs": {"model"},
        "features": {"model"},
        "gradients": {"model"},
    }
    for entry in entries():
        for verb in VERBS:
            if entry.contract != "aggregator" and verb in vars(entry.cls):
                names = set(inspect.signature(vars(entry.cls)[verb]).parameters)
                for word in entry.needs:
                    assert names & about.get(word, {"data", "pool", "train", "inputs", "clean"}), (entry.name, word)


KINDS = {
    "a path": ("train", "pictures/", "train is a str, not a Data: load a path"),
    "an array": ("train", np.zeros((4, 3)), "train is an array, not a Data"),
    "lists": ("data", [[1, 2], [3, 4]], "data is a list, not a Data"),
    "a pair": ("clean", (np.zeros((4, 3)), np.zeros(4)), "clean is a tuple, not a Data"),
    "a dictionary": ("clean", {"x": 1}, "clean is a dict, not a Data"),
    "a number": ("train", 3, "train is an int, not a Data"),
    "rows instead of a pool": ("pool", TABLE, "pool is a Data, not a Pool: make one by Pool.of"),
    "an array instead of a pool": ("pool", TABLE.x, "pool is an array, not a Pool"),
    "data instead of inputs": ("inputs", TABLE, "inputs is a Data, not an array of rows"),
    "a list of inputs": ("inputs", [TABLE.x[0]], "inputs is a list, not an array of rows"),
    "a path of inputs": ("inputs", "x.npy", "inputs is a str, not an array of rows"),
    "a path of a model": ("model", "model.pt", "model is a str, which cannot predict"),
    "weights": ("model", {"w": 1}, "model is a dict, which cannot predict"),
}


@pytest.mark.parametrize("what", KINDS)
def test_another_kind_of_argument_is_one_sentence(what):
    name, value, sentence = KINDS[what]
    with pytest.raises(ToadstoneError, match=f"^{sentence}"):
        check_kinds({name: value})


def test_what_fits_or_is_left_out_passes():
    check_kinds({"train": TABLE, "clean": None, "pool": Pool.of(TABLE, None), "inputs": TABLE.x, "model": Told()})


def test_every_algorithm_asks_for_kinds_before_any_work():
    for entry in entries():
        for verb in VERBS:
            if verb not in vars(entry.cls):
                continue
            asked = vars(entry.cls)[verb]
            names = set(inspect.signature(asked).parameters) & {"train", "data", "clean", "pool", "inputs", "model"}
            for name in names:
                with pytest.raises(ToadstoneError, match=f"^{name} is a"):
                    asked(object.__new__(entry.cls), **{name: 3}, seed=0)


class Detached(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.line, self.how = nn.Linear(16, 2), how

    def forward(self, x):
        return self.how(self.line(x.flatten(1)))


CUTS = {
    "detached": lambda z: z.detach(),
    "detached shares": lambda z: z.softmax(1).detach(),
    "numpy": lambda z: torch.from_numpy(z.detach().numpy()),
    "no_grad": torch.no_grad()(lambda z: z * 2),
    "votes": lambda z: (z > 0).float(),
}


@pytest.mark.parametrize("how", CUTS)
@pytest.mark.parametrize("frozen", [False, True])
def test_a_net_that_cuts_its_gradients_is_told_how_to_be_wrapped(how, frozen):
    net = Detached(CUTS[how]).requires_grad_(not frozen)
    model = TorchModel(net, "line", Pixels(4, 4), BINARY)
    for defense in (NeuralCleanse(), ReferenceCleanse()):
        with pytest.raises(NotApplicableError, match=r"without gradients: .* without detach\(\)"):
            defense.inspect(model, PICTURES, seed=0)
    with pytest.raises(NotApplicableError, match="without gradients"):
        CognitiveDistillation().score(model, Pool.of(PICTURES, None), seed=0)
    check(("gradients",), {"model": TorchModel(Detached(lambda z: z), "line", Pixels(4, 4), BINARY), "clean": PICTURES})
