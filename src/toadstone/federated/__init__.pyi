from .clients import LocalTraining as LocalTraining
from .rounds import RoundRecord as RoundRecord
from .simulation import Simulation as Simulation

# isort: split
# Below: the registered classes, written by `python -m toadstone.generate`.
from .partitions import IID as IID
from .partitions import ByClass as ByClass
from .partitions import Dirichlet as Dirichlet
from .trainer import Federated as Federated
