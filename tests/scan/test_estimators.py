"""Fitted estimators of scikit-learn are not flagged, and what is allowed belongs to the library it names."""

import collections.abc
import importlib
import pickle
import pkgutil
import types
import warnings

import numpy as np
import pytest
import scipy.interpolate
import scipy.sparse
import sklearn
import torch
from sklearn.utils import all_estimators

from toadstone.scan.files import audit_files
from toadstone.scan.formats.names import allowed


def fitted():
    """Each estimator that can be fitted on 30 small rows at once."""
    x, y = np.random.default_rng(0).uniform(0.1, 1, (30, 4)), np.arange(30) % 2
    slow = ("HistGradient", "GaussianProcess", "MLP", "Sparse", "Dictionary", "GraphicalLasso", "CV")
    for name, kind in all_estimators():
        if any(part in name for part in slow):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = kind()
                model.set_params(**{k: 3 for k in ("n_estimators", "max_iter") if k in model.get_params()})
                yield name, model.fit(x, y)
        except (TypeError, ValueError, AttributeError):
            continue


def test_no_estimator_is_flagged(tmp_path):
    flagged, count = [], 0
    for name, model in fitted():
        path = tmp_path / f"{name}.pkl"
        path.write_bytes(pickle.dumps(model))
        count += 1
        audit = audit_files([path])
        if audit.verdict != "clean":
            flagged.append((name, [finding.text for finding in audit.findings]))
    assert flagged == []
    assert count >= 120


ALIASES = (types.GenericAlias, type(collections.abc.Callable[[], int]))  # dict[str, int] makes what dict makes
HARMLESS = {"BSpline", "LinAlgError", "MaskedArray", "OrderedDict", "SparseEfficiencyWarning"}


LIBRARIES = [sklearn, np.random, np.polynomial, scipy.sparse, scipy.interpolate, torch.nn, torch.optim]
LIBRARIES += [torch.utils.data, torch.distributions]


@pytest.mark.parametrize("package", LIBRARIES, ids=lambda package: package.__name__)
def test_what_is_allowed_belongs_to_the_library(package):
    """A module also holds what it imports: none of that slips through the pattern of its classes."""
    foreign, count = [], 0
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if any(part in info.name for part in ("tests", "externals", "conftest", "setup")):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                module = importlib.import_module(info.name)
            except ImportError:
                continue
        for name in (name for name in dir(module) if allowed(info.name, name)):
            count += 1
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of names that will move
                value = getattr(module, name)
            if name in HARMLESS or name.endswith("_DTYPE") or isinstance(value, ALIASES):
                continue
            if not (callable(value) or isinstance(value, types.ModuleType)):
                continue
            home = getattr(value, "__module__", None) or type(value).__module__
            home = "a module" if isinstance(value, types.ModuleType) else home
            if not home.startswith((package.__name__.split(".")[0], "typing")):
                foreign.append((info.name, name, home))
    assert {(name, home) for _, name, home in foreign} == set()
    assert count > 5
