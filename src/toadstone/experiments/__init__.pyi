from .cells import Cell as Cell
from .cells import Figure as Figure
from .experiment import run as run
from .federated import SideBySide as SideBySide
from .grid import Grid as Grid
from .grid import run_grid as run_grid
from .label_noise import read_labels as read_labels
from .pooled import pooled as pooled
from .record import Record as Record
from .repeat import prepare as prepare
from .repeat import replay as replay

# isort: split
# Below: the registered classes, written by `python -m toadstone.generate`.
from .experiment import Experiment as Experiment
from .federated import FederatedExperiment as FederatedExperiment
from .label_noise import LabelNoise as LabelNoise
