from . import many as many
from .experiment import run as run
from .federated import SideBySide as SideBySide
from .label_noise import judge_labels as judge_labels
from .label_noise import read_labels as read_labels
from .many import grid as grid
from .record import Record as Record
from .repeat import prepare as prepare
from .repeat import replay as replay

# isort: split
# Below: the registered classes, written by `python -m toadstone.generate`.
from .experiment import Experiment as Experiment
